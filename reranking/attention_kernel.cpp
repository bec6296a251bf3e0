// Attention of token runs over shared prefixes and, causally, over themselves: bfloat16 in, sums in float32.
//
// Written for processors with AVX-512 BF16 and without matrix units, where the fused kernels of others compute bfloat16
// at the speed of float32. Keys and values are laid out once a call, so that one instruction multiplies two neighbouring
// elements for sixteen keys, or two neighbouring keys for sixteen elements of a head. Then, tile by tile, scores, their
// softmax (renewed chunk by chunk, so that memory does not grow with the run) and the weighted values.

#include <immintrin.h>

#include <algorithm>
#include <cstdint>
#include <limits>
#include <vector>

namespace {

constexpr int SIZE = HEAD_SIZE;       // elements of a head, a multiple of 32
constexpr int BLOCK = 16;             // keys that are laid out together
constexpr int BLOCK_ELEMENTS = BLOCK * SIZE;
constexpr int TILE = 8;               // query vectors at once
constexpr int CHUNK = 32;             // blocks between two renewals of the softmax
constexpr int WIDTH = CHUNK * BLOCK;
constexpr int ITEM_ROWS = 64;         // rows of a run that one thread takes at once
constexpr float MINUS_INFINITY = -std::numeric_limits<float>::infinity();

}  // namespace

extern "C" {

// Keys and values of neighbouring tokens. Strides are in elements from token to token; heads lie side by side.
struct Segment {
    const uint16_t* keys;
    const uint16_t* values;
    int64_t key_stride;
    int64_t value_stride;
    int64_t tokens;
    int64_t first_block;  // of all groups' in the laid out keys and values
};

// `rows` queries from row `query` on: those of the last keys of segment `own`; they see all of `prefix` (-1: none).
struct Run {
    int64_t query;
    int64_t rows;
    int64_t prefix;
    int64_t own;
};

}  // extern "C"

namespace {

int64_t count_blocks(const Segment& segment) { return (segment.tokens + BLOCK - 1) / BLOCK; }

int64_t find_block(const Segment& segment, int64_t group, int64_t block) {
    return (segment.first_block + group * count_blocks(segment) + block) * BLOCK_ELEMENTS;
}

// [pairs of elements][keys][2]
void lay_out_keys(const Segment& segment, int64_t group, int64_t block, uint16_t* target) {
    uint32_t* pairs = reinterpret_cast<uint32_t*>(target);
    for (int key = 0; key < BLOCK; ++key) {
        const int64_t token = block * BLOCK + key;
        if (token >= segment.tokens) {
            for (int pair = 0; pair < SIZE / 2; ++pair) pairs[pair * BLOCK + key] = 0;
            continue;
        }
        const uint16_t* row = segment.keys + token * segment.key_stride + group * SIZE;
        const uint32_t* source = reinterpret_cast<const uint32_t*>(row);
        for (int pair = 0; pair < SIZE / 2; ++pair) pairs[pair * BLOCK + key] = source[pair];
    }
}

// [32 elements at a time][pairs of keys][32 elements][2]
void lay_out_values(const Segment& segment, int64_t group, int64_t block, uint16_t* target) {
    alignas(64) uint16_t order[2][32];  // of 32 elements of one key and 32 of the next: by turns
    for (int place = 0; place < 64; ++place) order[place / 32][place % 32] = place / 2 + place % 2 * 32;
    const __m512i front = _mm512_load_si512(order[0]), back = _mm512_load_si512(order[1]);
    const auto load = [&](int64_t key, int part) {
        const int64_t token = block * BLOCK + key;
        if (token >= segment.tokens) return _mm512_setzero_si512();
        return _mm512_loadu_si512(segment.values + token * segment.value_stride + group * SIZE + part * 32);
    };
    for (int part = 0; part < SIZE / 32; ++part) {
        for (int key = 0; key < BLOCK; key += 2, target += 64) {
            const __m512i one = load(key, part), next = load(key + 1, part);
            _mm512_store_si512(target, _mm512_permutex2var_epi16(one, front, next));
            _mm512_store_si512(target + 32, _mm512_permutex2var_epi16(one, back, next));
        }
    }
}

__m512bh load_pairs(const uint16_t* pairs) { return reinterpret_cast<__m512bh>(_mm512_loadu_si512(pairs)); }

__m512bh repeat_pair(uint32_t pair) { return reinterpret_cast<__m512bh>(_mm512_set1_epi32(static_cast<int>(pair))); }

// e to the power of values up to 0, within 2e-7 of it; minus infinity gives 0, and what is no number stays none.
__m512 exp_of(__m512 values) {
    const __m512 powers = _mm512_max_ps(_mm512_set1_ps(-160.0f), _mm512_mul_ps(values, _mm512_set1_ps(1.44269504f)));
    const __m512 whole = _mm512_roundscale_ps(powers, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    const __m512 rest = _mm512_mul_ps(_mm512_sub_ps(powers, whole), _mm512_set1_ps(0.693147181f));
    __m512 sum = _mm512_set1_ps(1.0f / 720.0f);
    for (float factor : {1.0f / 120.0f, 1.0f / 24.0f, 1.0f / 6.0f, 0.5f, 1.0f, 1.0f}) {
        sum = _mm512_fmadd_ps(sum, rest, _mm512_set1_ps(factor));
    }
    return _mm512_scalef_ps(sum, whole);
}

// Some query vectors of one run and one key-value head, and what has been summed for them.
class Tile {
  public:
    // `rows`: which row of the run each vector is of.
    Tile(const uint16_t* const* queries, const int64_t* rows) : rows_(rows) {
        for (int vector = 0; vector < TILE; ++vector) {
            const uint32_t* pairs = reinterpret_cast<const uint32_t*>(queries[vector]);
            std::copy(pairs, pairs + SIZE / 2, queries_[vector]);
            std::fill(sums_[vector], sums_[vector] + SIZE, 0.0f);
            largest_[vector] = MINUS_INFINITY;
            total_[vector] = 0.0f;
        }
    }

    // Adds keys in blocks. A vector of row r sees the first `visible` + r keys, at most `tokens`.
    void add(const uint16_t* keys, const uint16_t* values, int64_t tokens, int64_t visible) {
        const int64_t seen = std::min(tokens, visible + rows_[TILE - 1]);
        const int64_t blocks = (seen + BLOCK - 1) / BLOCK;
        for (int64_t first = 0; first < blocks; first += CHUNK) {
            const int count = static_cast<int>(std::min<int64_t>(CHUNK, blocks - first));
            const int64_t offset = first * BLOCK_ELEMENTS;
            int block = 0;
            for (; block + 2 <= count; block += 2) score<2>(keys + offset, block);
            if (block < count) score<1>(keys + offset, block);
            for (int vector = 0; vector < TILE; ++vector) {
                weigh(vector, count, std::min(tokens, visible + rows_[vector]) - first * BLOCK);
            }
            for (int part = 0; part < SIZE / 32; ++part) add_values(values + offset, count, part);
        }
    }

    void write(int vector, uint16_t* result) const {
        const __m512 share = _mm512_set1_ps(1.0f / total_[vector]);
        for (int element = 0; element < SIZE; element += 16) {
            const __m512 sum = _mm512_mul_ps(_mm512_load_ps(sums_[vector] + element), share);
            const __m256bh rounded = _mm512_cvtneps_pbh(sum);
            _mm256_storeu_si256(reinterpret_cast<__m256i*>(result + element), reinterpret_cast<__m256i>(rounded));
        }
    }

  private:
    template <int COUNT>
    void score(const uint16_t* keys, int block) {
        __m512 sums[TILE][COUNT];
        for (auto& row : sums)
            for (auto& sum : row) sum = _mm512_setzero_ps();
        const uint16_t* source = keys + block * BLOCK_ELEMENTS;
        for (int pair = 0; pair < SIZE / 2; ++pair) {
            __m512bh columns[COUNT];
#pragma GCC unroll 2
            for (int n = 0; n < COUNT; ++n) columns[n] = load_pairs(source + n * BLOCK_ELEMENTS + pair * 2 * BLOCK);
#pragma GCC unroll 8
            for (int vector = 0; vector < TILE; ++vector) {
                const __m512bh query = repeat_pair(queries_[vector][pair]);
#pragma GCC unroll 2
                for (int n = 0; n < COUNT; ++n)
                    sums[vector][n] = _mm512_dpbf16_ps(sums[vector][n], query, columns[n]);
            }
        }
        for (int vector = 0; vector < TILE; ++vector)
            for (int n = 0; n < COUNT; ++n) _mm512_store_ps(scores_[vector] + (block + n) * BLOCK, sums[vector][n]);
    }

    // Scores to weights e^(score - largest); what was summed before is to shrink by `shrink_`.
    void weigh(int vector, int count, int64_t seen) {
        float* scores = scores_[vector];
        const int width = count * BLOCK;
        for (int64_t key = std::max<int64_t>(seen, 0); key < width; ++key) scores[key] = MINUS_INFINITY;
        __m512 most = _mm512_set1_ps(largest_[vector]);
        for (int key = 0; key < width; key += BLOCK) most = _mm512_max_ps(most, _mm512_load_ps(scores + key));
        const float largest = _mm512_reduce_max_ps(most);
        const __m512 base = _mm512_set1_ps(largest);
        __m512 total = _mm512_setzero_ps();
        uint16_t* weights = reinterpret_cast<uint16_t*>(weights_[vector]);
        for (int key = 0; key < width; key += BLOCK) {
            const __m512 weight = exp_of(_mm512_sub_ps(_mm512_load_ps(scores + key), base));
            total = _mm512_add_ps(total, weight);
            const __m256bh rounded = _mm512_cvtneps_pbh(weight);
            _mm256_store_si256(reinterpret_cast<__m256i*>(weights + key), reinterpret_cast<__m256i>(rounded));
        }
        shrink_[vector] = _mm512_cvtss_f32(exp_of(_mm512_set1_ps(largest_[vector] - largest)));
        total_[vector] = total_[vector] * shrink_[vector] + _mm512_reduce_add_ps(total);
        largest_[vector] = largest;
    }

    void add_values(const uint16_t* values, int count, int part) {
        __m512 sums[TILE][2];
#pragma GCC unroll 8
        for (int vector = 0; vector < TILE; ++vector) {
            const __m512 shrink = _mm512_set1_ps(shrink_[vector]);
            for (int n = 0; n < 2; ++n)
                sums[vector][n] = _mm512_mul_ps(_mm512_load_ps(sums_[vector] + part * 32 + n * 16), shrink);
        }
        for (int block = 0; block < count; ++block) {
            const uint16_t* source = values + block * BLOCK_ELEMENTS + part * 32 * BLOCK;
            for (int pair = 0; pair < BLOCK / 2; ++pair) {
                const __m512bh left = load_pairs(source + pair * 64), right = load_pairs(source + pair * 64 + 32);
#pragma GCC unroll 8
                for (int vector = 0; vector < TILE; ++vector) {
                    const __m512bh weight = repeat_pair(weights_[vector][block * BLOCK / 2 + pair]);
                    sums[vector][0] = _mm512_dpbf16_ps(sums[vector][0], weight, left);
                    sums[vector][1] = _mm512_dpbf16_ps(sums[vector][1], weight, right);
                }
            }
        }
        for (int vector = 0; vector < TILE; ++vector)
            for (int n = 0; n < 2; ++n) _mm512_store_ps(sums_[vector] + part * 32 + n * 16, sums[vector][n]);
    }

    const int64_t* rows_;
    float largest_[TILE];
    float total_[TILE];
    float shrink_[TILE];
    alignas(64) uint32_t queries_[TILE][SIZE / 2];
    alignas(64) uint32_t weights_[TILE][WIDTH / 2];
    alignas(64) float scores_[TILE][WIDTH];
    alignas(64) float sums_[TILE][SIZE];
};

struct Call {
    const uint16_t* queries;
    uint16_t* result;
    const Segment* segments;
    int64_t heads;
    int64_t groups;
    uint16_t* keys;
    uint16_t* values;
};

// Rows `first` to `last` of a run, the query heads of one key-value head.
void attend_rows(const Call& call, const Run& run, int64_t group, int64_t first, int64_t last) {
    const int64_t shared = call.heads / call.groups;
    const Segment& own = call.segments[run.own];
    for (int64_t begin = first * shared; begin < last * shared; begin += TILE) {
        const uint16_t* queries[TILE];
        int64_t rows[TILE], offsets[TILE];
        const int64_t count = std::min<int64_t>(TILE, last * shared - begin);
        for (int64_t vector = 0; vector < TILE; ++vector) {
            const int64_t number = begin + std::min(vector, count - 1);
            rows[vector] = number / shared;
            offsets[vector] = ((run.query + rows[vector]) * call.heads + group * shared + number % shared) * SIZE;
            queries[vector] = call.queries + offsets[vector];
        }
        Tile tile(queries, rows);
        if (run.prefix >= 0) {
            const Segment& prefix = call.segments[run.prefix];
            const int64_t place = find_block(prefix, group, 0);
            tile.add(call.keys + place, call.values + place, prefix.tokens, prefix.tokens);
        }
        const int64_t place = find_block(own, group, 0);
        tile.add(call.keys + place, call.values + place, own.tokens, own.tokens - run.rows + 1);
        for (int64_t vector = 0; vector < count; ++vector) tile.write(vector, call.result + offsets[vector]);
    }
}

struct Item {
    int64_t run, group, first;
};

}  // namespace

extern "C" {

// `queries` and `result` are [rows, heads, SIZE]; `keys` and `values` room for the blocks of all segments and groups.
void attend_runs(const uint16_t* queries, uint16_t* result, const Segment* segments, int64_t segment_count,
                 const Run* runs, int64_t run_count, int64_t heads, int64_t groups, uint16_t* keys, uint16_t* values,
                 int threads) {
    const Call call{queries, result, segments, heads, groups, keys, values};
    std::vector<Item> blocks, items;
    for (int64_t group = 0; group < groups; ++group) {
        for (int64_t segment = 0; segment < segment_count; ++segment)
            for (int64_t block = 0; block < count_blocks(segments[segment]); ++block)
                blocks.push_back({segment, group, block});
        for (int64_t run = 0; run < run_count; ++run)
            for (int64_t first = 0; first < runs[run].rows; first += ITEM_ROWS) items.push_back({run, group, first});
    }
#pragma omp parallel num_threads(threads)
    {
#pragma omp for schedule(static)
        for (size_t number = 0; number < blocks.size(); ++number) {
            const Item& item = blocks[number];
            const Segment& segment = segments[item.run];
            const int64_t place = find_block(segment, item.group, item.first);
            lay_out_keys(segment, item.group, item.first, keys + place);
            lay_out_values(segment, item.group, item.first, values + place);
        }
#pragma omp for schedule(dynamic)
        for (size_t number = 0; number < items.size(); ++number) {
            const Item& item = items[number];
            const Run& run = runs[item.run];
            attend_rows(call, run, item.group, item.first, std::min(item.first + ITEM_ROWS, run.rows));
        }
    }
}

}  // extern "C"
