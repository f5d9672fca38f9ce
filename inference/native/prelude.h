#include <math.h>
#include <stdint.h>
#include <string.h>

/* On x86 glibc has these for several numbers at once; gcc uses them where it is told so. */
#if defined(__GLIBC__) && defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define LANES __attribute__((simd("notinbranch")))
LANES double exp(double); LANES double log(double); LANES double sin(double); LANES double cos(double); LANES double pow(double, double);
LANES float expf(float); LANES float logf(float); LANES float sinf(float); LANES float cosf(float); LANES float powf(float, float);
#endif

#define MATH(T, EXP, LOG)                                                                                             \
    static inline T square_##T(T x) { return x * x; }                                                                 \
    static inline T sigmoid_##T(T x) { return 1 / (1 + EXP(-x)); }                                                    \
    static inline T sign_##T(T x) { return (T)((x > 0) - (x < 0)); }                                                  \
    static inline T maximum_##T(T a, T b) { return a != a || a > b ? a : b; }                                         \
    static inline T minimum_##T(T a, T b) { return a != a || a < b ? a : b; }                                         \
    static inline T xlogy_##T(T x, T y) { return y != y ? y : x == 0 ? 0 : x * LOG(y); }

MATH(float, expf, logf)
MATH(double, exp, log)

/* By bits: gcc 12 makes wrong code of a vectorised loop with a conditional expression that is subtracted. */
#define CHOSEN(T, BITS)                                                                                               \
    static inline T chosen_##T(uint8_t asked, T yes, T no) {                                                          \
        BITS mask = -(BITS)(asked != 0), a, b;                                                                        \
        memcpy(&a, &yes, sizeof a);                                                                                   \
        memcpy(&b, &no, sizeof b);                                                                                    \
        a = (a & mask) | (b & ~mask);                                                                                 \
        memcpy(&yes, &a, sizeof a);                                                                                   \
        return yes;                                                                                                   \
    }

CHOSEN(float, int32_t)
CHOSEN(double, int64_t)

static inline int64_t maximum_int64_t(int64_t a, int64_t b) { return a > b ? a : b; }
static inline int64_t minimum_int64_t(int64_t a, int64_t b) { return a < b ? a : b; }

static inline double logaddexp(double a, double b) {
    double most = maximum_double(a, b), least = minimum_double(a, b);
    return isinf(most) ? most : most + log1p(exp(least - most));
}

/* The recurrence up to 10, where the asymptotic series of Abramowitz & Stegun (6.3.18) is exact; below 0, the reflection (6.3.7). */
static inline double digamma_double(double x) {
    double shift = 0;
    if (x <= 0) {
        if (x == floor(x)) return x == 0 ? (signbit(x) ? INFINITY : -INFINITY) : NAN;
        shift = -M_PI / tan(M_PI * x);
        x = 1 - x;
    }
    while (x < 10) shift -= 1 / x++;
    double z = 1 / (x * x);
    double tail = z * (1. / 12 - z * (1. / 120 - z * (1. / 252 - z * (1. / 240 - z * (1. / 132 - z * (691. / 32760 - z / 12))))));
    return shift + log(x) - 0.5 / x - tail;
}
static inline float digamma_float(float x) { return (float)digamma_double(x); }
