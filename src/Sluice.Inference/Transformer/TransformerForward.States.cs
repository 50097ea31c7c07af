using System.Runtime.Intrinsics;
using Sluice.Inference.Architectures;
using Sluice.Inference.Kernels;

namespace Sluice.Inference.Transformer;

/// <content>
/// Recurrent layers: projections | convolution, channels shared out | the state of each head, token after token. A prompt has no other form than
/// an answer, so a token has the same bits in any step.
/// </content>
internal sealed unsafe partial class TransformerForward
{
    // Channels of an item of the convolution.
    private const int ChannelShare = 64;

    private long[] _stateOffsets = [];
    private float* _channels;
    private float* _convolved;
    private float* _stateGates;
    private float* _steps;
    private float* _betas;
    private int _channelStride;
    private int _innerStride;
    private int _stepStride;
    private float*[] _headScratch = [];

    private void CreateStates()
    {
        RecurrentPlan[] plans = [.. _plan.Layers.Where(static l => l.Recurrent != null).Select(static l => l.Recurrent!)];
        if (plans.Length == 0)
        {
            return;
        }

        _stateOffsets = new long[_plan.Layers.Count];
        for (int i = 1; i < _stateOffsets.Length; i++)
        {
            _stateOffsets[i] = _stateOffsets[i - 1] + (_plan.Layers[i - 1].Recurrent?.StateCount ?? 0);
        }

        _channelStride = Padded(plans.Max(static p => p.ChannelCount));
        _innerStride = Padded(plans.Max(static p => p.InnerLength));
        _stepStride = Padded(plans.Max(static p => Math.Max(p.HeadCount, p.Kind == RecurrentKind.ShortConvolution ? p.ChannelCount : 0)));
        _channels = Floats(_columnCapacity, _channelStride);
        _convolved = Floats(_columnCapacity, _channelStride);
        _stateGates = Floats(_columnCapacity, _innerStride);
        _steps = Floats(_columnCapacity, _stepStride);
        _betas = Floats(_columnCapacity, _stepStride);
        int scratch = 3 * plans.Max(static p => Math.Max(p.HeadLength, p.StateLength));
        _headScratch = new float*[_team.ThreadCount];
        for (int i = 0; i < _headScratch.Length; i++)
        {
            _headScratch[i] = Floats(1, scratch + GroupRows);
        }
    }

    private void BeginStates()
    {
        if (_cache.States is not { } states)
        {
            return;
        }

        foreach (StepRun run in _batch.Runs)
        {
            if (run.Start == 0)
            {
                states.Begin(run.Sequence);
            }
            else if (run.Sequence.State == null || run.Sequence.StateLength != run.Start)
            {
                throw new InvalidOperationException($"Expected a state behind {run.Start} tokens, found one behind {run.Sequence.StateLength}.");
            }

            run.Sequence.StateLength = -1;
        }
    }

    private void EndStates(bool isComputed)
    {
        for (int r = 0; _cache.States != null && r < _batch.Runs.Count; r++)
        {
            StepRun run = _batch.Runs[r];
            run.Sequence.StateLength = isComputed ? run.Start + run.Count : -1;
        }
    }

    // From the normalised input to the columns that the output matrix reads.
    private void Recur(LayerWeights layer, int index, BatchInput input, int threadIndex)
    {
        RecurrentPlan plan = layer.Plan.Recurrent!;
        RecurrentWeights weights = layer.Recurrent!;
        BatchInput output = _recurred[index]!;
        ProjectState(weights, input, threadIndex);
        _team.Barrier();
        int shares = (plan.ChannelCount + ChannelShare - 1) / ChannelShare;
        while (_team.TryClaim(threadIndex, _batch.Runs.Count * shares, 1, out int item, out _))
        {
            StepRun run = _batch.Runs[item / shares];
            int first = item % shares * ChannelShare;
            Convolve(plan, weights, run, StateOf(run, index), first, Math.Min(first + ChannelShare, plan.ChannelCount), output);
        }

        _team.Barrier();
        if (plan.Kind != RecurrentKind.ShortConvolution)
        {
            while (_team.TryClaim(threadIndex, _batch.Runs.Count * plan.HeadCount, 1, out int item, out _))
            {
                StepRun run = _batch.Runs[item / plan.HeadCount];
                int head = item % plan.HeadCount;
                float* state = StateOf(run, index) + ((long)(plan.KernelLength - 1) * plan.ChannelCount)
                    + ((long)head * plan.HeadLength * plan.StateLength);
                if (plan.Kind == RecurrentKind.DeltaRule)
                {
                    RunDeltaRule(plan, weights, run, head, state, output, _headScratch[threadIndex]);
                }
                else
                {
                    RunMamba2(plan, weights, run, head, state, output);
                }
            }

            _team.Barrier();
        }

        while (_team.TryClaim(threadIndex, _batch.TokenCount, 1, out int t, out _))
        {
            if (plan.Kind == RecurrentKind.Mamba2)
            {
                FinishMamba2(plan, weights, output.Column(t), _stateGates + ((long)t * _innerStride));
            }

            output.Seal(t);
        }

        _team.Barrier();
    }

    private float* StateOf(StepRun run, int layer) => run.Sequence.State!.Singles + _stateOffsets[layer];

    private void ProjectState(RecurrentWeights weights, BatchInput input, int threadIndex)
    {
        int channelGroups = weights.Channels.GroupCount;
        int gateGroups = weights.Gate.GroupCount;
        int stepGroups = weights.Step.GroupCount;
        int total = channelGroups + gateGroups + stepGroups + (weights.Beta?.GroupCount ?? 0);
        while (_team.TryClaim(threadIndex, total, GroupShare(total), out int first, out int end))
        {
            for (int g = first; g < end; g++)
            {
                int gate = g - channelGroups;
                int step = gate - gateGroups;
                int beta = step - stepGroups;
                if (gate < 0)
                {
                    weights.Channels.MultiplyGroup(g, input, _channels + (g * GroupRows), _channelStride, false);
                }
                else if (step < 0)
                {
                    weights.Gate.MultiplyGroup(gate, input, _stateGates + (gate * GroupRows), _innerStride, false);
                }
                else if (beta < 0)
                {
                    weights.Step.MultiplyGroup(step, input, _steps + (step * GroupRows), _stepStride, false);
                }
                else
                {
                    weights.Beta!.MultiplyGroup(beta, input, _betas + (beta * GroupRows), _stepStride, false);
                }
            }
        }
    }

    // Some channels of all tokens of a run; the last inputs stay in the state.
    private void Convolve(
        RecurrentPlan plan, RecurrentWeights weights, StepRun run, float* state, int firstChannel, int endChannel, BatchInput output)
    {
        int before = plan.KernelLength - 1;
        int channels = plan.ChannelCount;
        bool isShort = plan.Kind == RecurrentKind.ShortConvolution;
        Vector512<float>* window = stackalloc Vector512<float>[plan.KernelLength];
        for (int c = firstChannel; c < endChannel; c += VectorMath.Lanes)
        {
            for (int k = 0; k < before; k++)
            {
                window[k] = Vector512.Load(state + ((long)k * channels) + c);
            }

            for (int i = 0; i < run.Count; i++)
            {
                long t = run.FirstColumn + i;
                Vector512<float> x = Vector512.Load(_channels + (t * _channelStride) + c);
                window[before] = isShort ? x * Vector512.Load(_steps + (t * _stepStride) + c) : x;
                Vector512<float> sum = weights.KernelBias == null ? Vector512<float>.Zero : Vector512.Load(weights.KernelBias + c);
                for (int k = 0; k <= before; k++)
                {
                    sum = Vector512.FusedMultiplyAdd(window[k], Vector512.Load(weights.Kernel + ((long)k * channels) + c), sum);
                }

                if (isShort)
                {
                    (sum * Vector512.Load(_stateGates + (t * _innerStride) + c)).Store(output.Column((int)t) + c);
                }
                else
                {
                    Vector512<float> e = VectorMath.Exp(Vector512.Min(-sum, Vector512.Create(87f)));
                    (sum / (Vector512<float>.One + e)).Store(_convolved + (t * _channelStride) + c);
                }

                for (int k = 0; k < before; k++)
                {
                    window[k] = window[k + 1];
                }
            }

            for (int k = 0; k < before; k++)
            {
                window[k].Store(state + ((long)k * channels) + c);
            }
        }
    }

    private void RunDeltaRule(
        RecurrentPlan plan, RecurrentWeights weights, StepRun run, int head, float* state, BatchInput output, float* scratch)
    {
        int side = plan.StateLength;
        int keys = side * plan.GroupCount;
        int keyHead = head % plan.GroupCount;
        float* q = scratch;
        float* k = q + side;
        for (int i = 0; i < run.Count; i++)
        {
            int t = run.FirstColumn + i;
            float* convolved = _convolved + ((long)t * _channelStride);
            NormalizeLength(convolved + (keyHead * side), q, side);
            NormalizeLength(convolved + keys + (keyHead * side), k, side);
            float step = _steps[((long)t * _stepStride) + head] + weights.StepBias[head];
            float decay = MathF.Exp(weights.Decay[head] * StateKernel.Softplus(step));
            float beta = 1 / (1 + MathF.Exp(-_betas[((long)t * _stepStride) + head]));
            float* result = output.Column(t) + (head * side);
            StateKernel.DeltaRule(state, q, k, convolved + (2 * keys) + (head * side), decay, beta, side, result);
            VectorMath.RmsNorm(result, weights.Norm, result, side, _plan.NormEpsilon);
            VectorMath.SwiGlu(_stateGates + ((long)t * _innerStride) + (head * side), result, result, side);
        }
    }

    private void NormalizeLength(float* x, float* target, int count)
    {
        float length = MathF.Sqrt(VectorMath.Dot(x, x, count));
        new ReadOnlySpan<float>(x, count).CopyTo(new Span<float>(target, count));
        VectorMath.Scale(target, count, 1 / MathF.Max(length, _plan.NormEpsilon));
    }

    private void RunMamba2(RecurrentPlan plan, RecurrentWeights weights, StepRun run, int head, float* state, BatchInput output)
    {
        int length = plan.StateLength;
        int group = head / (plan.HeadCount / plan.GroupCount);
        for (int i = 0; i < run.Count; i++)
        {
            int t = run.FirstColumn + i;
            float* x = _convolved + ((long)t * _channelStride);
            float* b = x + plan.InnerLength + (group * length);
            float* c = b + (plan.GroupCount * length);
            float step = StateKernel.Softplus(_steps[((long)t * _stepStride) + head] + weights.StepBias[head]);
            float decay = MathF.Exp(step * weights.Decay[head]);
            int first = head * plan.HeadLength;
            StateKernel.Mamba2(state, x + first, b, c, step, decay, weights.Skip[head], plan.HeadLength, length, output.Column(t) + first);
        }
    }

    // The gate comes before the norm, which each group has for itself.
    private void FinishMamba2(RecurrentPlan plan, RecurrentWeights weights, float* column, float* gate)
    {
        VectorMath.SwiGlu(gate, column, column, plan.InnerLength);
        int length = plan.InnerLength / plan.GroupCount;
        for (int first = 0; weights.Norm != null && first < plan.InnerLength; first += length)
        {
            VectorMath.RmsNorm(column + first, weights.Norm + first, column + first, length, _plan.NormEpsilon);
        }
    }
}
