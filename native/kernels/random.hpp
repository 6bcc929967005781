// Random words and what becomes of them: for dropout, noise and augmentation.
#pragma once

// Philox4x32-10 (Salmon et al., 2011): four random words for a counter, as ops/dropout.py has it.
INLINE void philox(uint32_t counter[4], uint32_t key0, uint32_t key1) {
    for (int round = 0; round < 10; ++round) {
        const uint64_t product0 = (uint64_t)0xD2511F53u * counter[0];
        const uint64_t product1 = (uint64_t)0xCD9E8D57u * counter[2];
        const uint32_t c1 = counter[1], c3 = counter[3];
        counter[0] = (uint32_t)(product1 >> 32) ^ c1 ^ key0;
        counter[1] = (uint32_t)product1;
        counter[2] = (uint32_t)(product0 >> 32) ^ c3 ^ key1;
        counter[3] = (uint32_t)product0;
        key0 += 0x9E3779B9u;
        key1 += 0xBB67AE85u;
    }
}

// erf^-1(x) / x for w = -ln(1 - x^2): Giles, 2010, as ops/noise.py has it.
INLINE Vector inverse_error_function(Vector w) {
    const float central[] = {2.81022636e-08f, 3.43273939e-07f, -3.5233877e-06f, -4.39150654e-06f,
                             0.00021858087f, -0.00125372503f, -0.00417768164f, 0.246640727f,
                             1.50140941f};
    const float tail[] = {-0.000200214257f, 0.000100950558f, 0.00134934322f, -0.00367342844f,
                          0.00573950773f, -0.0076224613f, 0.00943887047f, 1.00167406f,
                          2.83297682f};
    const Vector near = w - 2.5f, far = square_root(w) - 3.0f;
    Vector of_near = broadcast(central[0]), of_far = broadcast(tail[0]);
    for (int n = 1; n < 9; ++n) {
        of_near = multiply_add(of_near, near, broadcast(central[n]));
        of_far = multiply_add(of_far, far, broadcast(tail[n]));
    }
    return choose(w < 5.0f, of_near, of_far);
}
