// The ids of answers that this tab read. A hub without keys tells no ids, for they are all that it takes to read an answer; of those that
// the tab names it says which they are.

const Name = 'sluice.answers';
const Max = 50;

/** The newest ids, the last one read at the end. */
export function knownIds() {
  return (sessionStorage.getItem(Name) ?? '').split(',').filter(Boolean);
}

/** Keeps an id in the tab. */
export function remember(id) {
  try {
    sessionStorage.setItem(Name, [...knownIds().filter((one) => one !== id), id].slice(-Max).join(','));
  } catch {
    // No room: the list then shows this answer without its id.
  }
}
