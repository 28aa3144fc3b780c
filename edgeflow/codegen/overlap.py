"""The C of windows that overlap: two states of a library, read in turn (`edgeflow.overlap`)."""

from edgeflow.overlap import Overlap
from edgeflow.program import Program


def declarations(program: Program, prefix: str) -> str:
    """Return what the header says of windows that overlap; nothing if they do not."""
    overlap, macro = program.overlap, prefix.upper()
    if overlap is None:
        return ""
    return f"""#define {macro}_HOP {overlap.hop} /* samples from one decision to the next */

/*
 * Windows that overlap, with two states. A window of {overlap.window} samples begins every \
{overlap.stagger} and is
 * read from a reset, by the first and the second state in turn: at most two windows are read at a
 * time, which takes up to two steps for a sample. Outputs are those of the older one. The first
 * decision is due after {overlap.first} samples, then one every {overlap.hop}, {_made_of(overlap)}.
 */
typedef struct {{
    {prefix}_t states[2];
    uint32_t older; /* of the two */
    uint32_t read;  /* samples since its reset */
    uint32_t wait;  /* samples until the next decision */
}} {prefix}_hop_t;

/* Prepares the memory, as {prefix}_init() does that of one state. */
void {prefix}_hop_init({prefix}_hop_t *model);

/* Forgets the past: call it at the start of each recording, never between its windows. */
void {prefix}_hop_reset({prefix}_hop_t *model);

/*
 * Reads one sample, writes the outputs after it. Returns the number of samples that they are made
 * of if a decision is due, else 0.
 */
uint32_t {prefix}_hop_step({prefix}_hop_t *model, const int16_t x[{macro}_INPUTS],
    int16_t y[{macro}_OUTPUTS]);

"""


def _made_of(overlap: Overlap) -> str:
    made = [str(samples) for samples in range(overlap.first, overlap.window + 1, overlap.hop)]
    if len(made) == 1:
        return "of a whole window each"
    if len(made) > 4:
        return f"of {made[0]}, {made[1]} ... {made[-1]} samples in turn"
    return f"of {', '.join(made[:-1])} and {made[-1]} samples in turn"


def definitions(program: Program, prefix: str) -> list[str]:
    """Return the functions of windows that overlap; none if they do not."""
    overlap, macro = program.overlap, prefix.upper()
    if overlap is None:
        return []
    first = f"""    model->older = 0;
    model->read = 0;
    model->wait = {overlap.first};
"""
    each = "    {0}_{1}(&model->states[0]);\n    {0}_{1}(&model->states[1]);\n"
    stagger = overlap.stagger
    return [
        f"void {prefix}_hop_init({prefix}_hop_t *model) {{\n{each.format(prefix, 'init')}{first}}}",
        f"void {prefix}_hop_reset({prefix}_hop_t *model) {{\n"
        f"{each.format(prefix, 'reset')}{first}}}",
        f"""uint32_t {prefix}_hop_step({prefix}_hop_t *model, const int16_t x[{macro}_INPUTS],
    int16_t y[{macro}_OUTPUTS]) {{
    if (model->read == {macro}_WINDOW) {{
        model->older ^= 1;
        model->read = {overlap.window - stagger};
    }}
    {prefix}_step(&model->states[model->older], x, y);
    if (model->read >= {stagger}) {{
        {prefix}_t *younger = &model->states[model->older ^ 1];
        int16_t early[{macro}_OUTPUTS]; /* outputs that nobody reads */
        if (model->read == {stagger})
            {prefix}_reset(younger);
        {prefix}_step(younger, x, early);
    }}
    model->read++;
    if (--model->wait > 0)
        return 0;
    model->wait = {macro}_HOP;
    return model->read;
}}""",
    ]
