namespace Sluice.Server.Ledger;

/// <summary>The tables of the ledger.</summary>
internal static class LedgerSchema
{
    /// <summary>"SluL": says of a file that it is a ledger of ours.</summary>
    public const int ApplicationId = 0x536C754C;

    /// <summary>
    /// Each leads from its index to the next version, also with rows in the file. What is here never changes: files have been made by it.
    /// usage_hour follows from usage_attempt and usage_answer and can be made again from them; usage_day, of projects alone, from usage_hour.
    /// </summary>
    public static IReadOnlyList<string> Steps { get; } =
    [
        """
        create table usage_answer (
          id text primary key, revision integer not null, began integer not null, ended integer, key text not null, project text, model text not null,
          served_by text, door text not null, ended_by text not null, prompt integer not null, cached integer not null, cache_write integer not null,
          output integer not null, reasoning integer not null, is_estimated integer not null, price_version text not null, charge_nusd integer not null,
          cost_nusd integer not null, tags text not null, subject text) without rowid;
        create index answer_open on usage_answer (began) where ended is null;
        create index answer_began on usage_answer (began);
        create table usage_attempt (
          answer text not null, number integer not null, began integer not null, ended integer not null, key text not null, project text,
          model text not null, upstream text not null, role text not null, prompt integer not null, cached integer not null,
          cache_write integer not null, output integer not null, reasoning integer not null, is_estimated integer not null,
          charged_tokens integer not null, charge_nusd integer not null, cost_nusd integer not null, primary key (answer, number)) without rowid;
        create index attempt_began on usage_attempt (began, key, project, charged_tokens, charge_nusd, prompt, output, cost_nusd);
        create table usage_hour (
          hour integer not null, key text not null, project text not null, model text not null, requests integer not null,
          prompt integer not null, cached integer not null, cache_write integer not null, output integer not null, reasoning integer not null,
          charged_tokens integer not null, charge_nusd integer not null, cost_tokens integer not null, cost_nusd integer not null,
          primary key (hour, key, project, model)) without rowid;
        create index hour_key on usage_hour (key, hour);
        create index hour_project on usage_hour (project, hour);
        create table api_key (
          id text primary key, name text not null unique, project text, hash blob not null, last_four text not null, created integer not null,
          expires integer, revoked integer, former_hash blob, former_until integer, limits text not null) without rowid;
        create table project (id text primary key, created integer not null, limits text not null) without rowid;
        create table budget_grant (
          number integer primary key, scope text not null, id text not null, unit text not null, amount integer not null, granted integer not null,
          until integer not null);
        create table meta (name text primary key, value) without rowid;
        create table audit (
          number integer primary key, at integer not null, actor text not null, action text not null, target text not null, before text, after text);
        """,
        "alter table usage_answer add column source text not null default '';",
        "alter table usage_answer add column priced_as text; alter table usage_answer add column pays_attempts integer not null default 0;",
        """
        create table usage_day (
          day integer not null, project text not null, charged_tokens integer not null, charge_nusd integer not null, cost_tokens integer not null,
          cost_nusd integer not null, primary key (day, project)) without rowid;
        insert into usage_day select hour / 24, project, sum(charged_tokens), sum(charge_nusd), sum(cost_tokens), sum(cost_nusd) from usage_hour group by 1, 2;
        """,
    ];
}
