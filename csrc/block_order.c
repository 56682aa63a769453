/* The order of an epoch by blocks, for rows in a file that may be larger than memory.
 *
 * A block is a range of consecutive rows with about FML_BLOCK_NUMBERS numbers. An epoch shuffles the blocks, and then
 * the rows of each window of FML_WINDOW_BLOCKS shuffled blocks. So the rows of a window are in a few megabytes, which
 * are read in large pieces, and only a window or two of the order are in memory.
 *
 * Each window has a random generator of its own, whose seed is `windows`, drawn once for each epoch, plus the index of
 * the window: any part of the order can be generated without the parts before it. docs/design.md states in which order
 * random numbers are drawn; reference/columns.py implements the same. */
#include "core.h"

#include <string.h>

static size_t size_min(size_t a, size_t b) { return a < b ? a : b; }

static size_t n_blocks(const fml_block_order *o) { return (o->n_rows + o->block_rows - 1) / o->block_rows; }

/* The number of rows of a block. */
static size_t rows_of(const fml_block_order *o, size_t block) {
    return size_min(o->block_rows, o->n_rows - block * o->block_rows);
}

size_t fml_block_rows(size_t n_inputs) { return n_inputs < FML_BLOCK_NUMBERS ? FML_BLOCK_NUMBERS / n_inputs : 1; }

/* Maximum length of `rows`: what is left of one window, a batch that goes on into the next ones, and a whole window. */
static size_t capacity(size_t n_rows, size_t block_rows, size_t batch_rows) {
    return size_min(n_rows, batch_rows) + 2 * size_min(n_rows, FML_WINDOW_BLOCKS * block_rows);
}

size_t fml_block_order_size(size_t n_rows, size_t block_rows, size_t batch_rows) {
    return ((n_rows + block_rows - 1) / block_rows + capacity(n_rows, block_rows, batch_rows)) * sizeof(uint32_t);
}

void fml_block_order_begin(fml_block_order *o, size_t n_rows, size_t block_rows, void *memory) {
    memset(o, 0, sizeof *o);
    o->n_rows = n_rows;
    o->block_rows = block_rows;
    o->blocks = memory;
    o->rows = o->blocks + n_blocks(o);
}

void fml_block_order_draw(fml_block_order *o, uint64_t *random) {
    size_t n = n_blocks(o);
    fml_random_order(random, o->blocks, n);
    o->windows = fml_random_next(random);
    o->first = o->n = 0;
    for (o->short_at = 0; o->blocks[o->short_at] != n - 1;) o->short_at++;
}

/* The number of rows of the order before the block with the index k in `blocks`. */
static size_t rows_before(const fml_block_order *o, size_t k) {
    size_t missing = o->block_rows - rows_of(o, n_blocks(o) - 1);
    return k * o->block_rows - (k > o->short_at ? missing : 0);
}

/* Write the shuffled rows of window w to `rows`, and return how many there are. */
static size_t draw_window(const fml_block_order *o, size_t w, uint32_t *rows) {
    size_t begin = w * FML_WINDOW_BLOCKS, end = size_min(begin + FML_WINDOW_BLOCKS, n_blocks(o));
    size_t before = rows_before(o, begin), n = rows_before(o, end) - before;
    size_t last_of_short = rows_before(o, o->short_at + 1), missing = o->block_rows - rows_of(o, n_blocks(o) - 1);
    uint64_t seed = o->windows + w, state = fml_random_next(&seed);
    fml_random_order(&state, rows, n);
    for (size_t i = 0; i < n; i++) {
        size_t at = before + rows[i]; /* the index in the order, counted as if no block were short */
        if (at >= last_of_short) at += missing;
        rows[i] = (uint32_t)(o->blocks[at / o->block_rows] * o->block_rows + at % o->block_rows);
    }
    return n;
}

/* The window that contains element `first` of the order. */
static size_t window_of(const fml_block_order *o, size_t first) {
    size_t w = 0, n = (n_blocks(o) + FML_WINDOW_BLOCKS - 1) / FML_WINDOW_BLOCKS;
    while (w + 1 < n && rows_before(o, (w + 1) * FML_WINDOW_BLOCKS) <= first) w++;
    return w;
}

void fml_block_order_reach(fml_block_order *o, size_t first, size_t end) {
    if (o->n == 0 || first < o->first || first > o->first + o->n) {
        o->n = 0;
        o->first = rows_before(o, window_of(o, first) * FML_WINDOW_BLOCKS);
    }
    if (end <= o->first + o->n) return;
    if (first > o->first && o->n > 0) {
        o->n -= first - o->first;
        memmove(o->rows, o->rows + (first - o->first), o->n * sizeof *o->rows);
        o->first = first;
    }
    while (o->first + o->n < end) o->n += draw_window(o, window_of(o, o->first + o->n), o->rows + o->n);
}

void fml_block_order_advise(const fml_block_order *o, const void *x, size_t row_bytes) {
    size_t end = o->first + o->n;
    if (end >= o->n_rows) return;
    size_t k = window_of(o, end) * FML_WINDOW_BLOCKS, last = size_min(k + FML_WINDOW_BLOCKS, n_blocks(o));
    for (; k < last; k++) {
        const char *block = (const char *)x + o->blocks[k] * o->block_rows * row_bytes;
        fml_advise(block, rows_of(o, o->blocks[k]) * row_bytes);
    }
}
