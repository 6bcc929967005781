// What the transforms of a tile's lines read and write: points in the tile's buffer, in memory, and
// slots.
#pragma once

// Where a transform reads its points and the way back writes them: x[0], x[step] ..
struct Points {
    Vector* x;
    int64_t step;
    INLINE_MEMBER Vector read(int j) const { return x[j * step]; }
    INLINE_MEMBER void write(int j, Vector v) const { x[j * step] = v; }
};

// --- tiles in memory: [position][floats] ---

// Vectors of which only some floats exist; not inlined, they are rare and there are many places.
static __attribute__((noinline)) Vector read_part(const float* p, int64_t count) {
    return load_first(p, count);
}
static __attribute__((noinline)) void write_part(float* p, Vector v, int64_t count) {
    store_first(p, v, count);
}

// Points of a line that exist, and where they are; the others are zero, and are not written.
// `count`: floats there are for each vector.
struct InMemory {
    const float* at;
    int64_t step, first, last, count;
    INLINE_MEMBER Vector read(int j) const {
        if (j < first || j >= last) return Vector{};
        return count >= WIDTH ? load(at + j * step) : read_part(at + j * step, count);
    }
};
alignas(64) static const float ZEROS[WIDTH] = {};

// The first `count` points of a line, all of which exist, and whole vectors of them.
struct FirstInMemory {
    const float* at;
    int64_t step, count;
    INLINE_MEMBER Vector read(int j) const { return load(j < count ? at + j * step : ZEROS); }
};
struct WholeInMemory {
    const float* at;
    int64_t step;
    INLINE_MEMBER Vector read(int j) const { return load(at + j * step); }
};
struct WrittenToMemory {
    float* y;
    const float* residual;
    int64_t at, step, first, last, count;
    Vector start;
    INLINE_MEMBER void write(int j, Vector v) const {
        if (j < first || j >= last) return;
        const int64_t place = at + j * step;
        v += start;
        if (residual) v += count >= WIDTH ? load(residual + place) : read_part(residual + place, count);
        if (count >= WIDTH) store(y + place, v);
        else write_part(y + place, v, count);
    }
};
struct FirstToMemory {
    float* at;
    int64_t step, count;
    Vector start;
    INLINE_MEMBER void write(int j, Vector v) const {
        if (j < count) store(at + j * step, v + start);
    }
};
struct AddedToMemory {
    float* gradient;
    int64_t at, step, first, last, count;
    float scale;
    INLINE_MEMBER void write(int j, Vector v) const {
        if (j < first || j >= last) return;
        float* to = gradient + at + j * step;
        if (count >= WIDTH) store(to, multiply_add(v, broadcast(scale), load(to)));
        else write_part(to, multiply_add(v, broadcast(scale), read_part(to, count)), count);
    }
};

// --- slots ---

// Writes and reads slots one after the other, whole vectors: what is behind a slot's last number is
// written later, or nobody's.
struct SlotWriter {
    float* at;
    int64_t step;
    bool is_kernel;
    INLINE_MEMBER void write(Vector v) {
        store(at, v);
        at += step;
    }
};
struct SlotReader {
    const float* at;
    int64_t step;
    INLINE_MEMBER Vector read() {
        const Vector v = load(at);
        at += step;
        return v;
    }
};
