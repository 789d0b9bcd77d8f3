#include "decimal.h"

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

__extension__ typedef unsigned __int128 wide;

enum { MOST_DIGITS = 17, MANTISSA_BITS = 53 };

/* A number in digits: whole / 10^places. */
struct decimal {
  uint64_t whole;
  int places;
};

/* Most numbers that people write have at most 15 digits: an integer over a power of ten, and
 * dividing the two is exact to the last bit, so what gives d again is what strtod would read. */
static bool short_decimal(double size, struct decimal *out) {
  static const double tens[] = {1e0, 1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7, 1e8,
                                1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16};
  int places = 16;
  while (size * tens[places] > 1e15) places--;
  *out = (struct decimal){(uint64_t)(size * tens[places] + 0.5), places};
  return (double)out->whole / tens[places] == size;
}

/* n / 2^shift, rounded as printf does, and how far that is from n, in 1 / 2^shift. */
static uint64_t divide(wide n, int shift, wide *off) {
  wide unit = (wide)1 << shift, rest = n & (unit - 1);
  uint64_t whole = (uint64_t)(n >> shift);
  bool up = rest > unit / 2 || (rest == unit / 2 && (whole & 1));
  *off = up ? unit - rest : rest;
  return whole + up;
}

/* The others, from 1e-2 to 1e15, need 16 or 17 digits. A number is mantissa / 2^shift; times the
 * power of ten that makes 17 digits of it, it has its place in 128 bits: no step rounds but the one
 * that is meant to. Two numbers are 1 / 2^shift apart, so digits that are off by less than half of
 * that mean this one. */
static void long_decimal(double size, struct decimal *out) {
  int exponent;
  uint64_t mantissa = (uint64_t)ldexp(frexp(size, &exponent), MANTISSA_BITS);
  int shift = MANTISSA_BITS - exponent, places = MOST_DIGITS - 1;
  wide n = mantissa, ten = 1, off;
  for (double power = 10; size >= power; power *= 10) places--;
  places += (size < 1) + (size < 0.1);
  for (int i = 1; i < places; i++) ten *= 10;
  *out = (struct decimal){divide(n * ten, shift, &off), places - 1};
  /* below a power of two numbers lie closer: there 17 digits are always right */
  if (2 * off < ten && mantissa != (uint64_t)1 << (MANTISSA_BITS - 1)) return;
  *out = (struct decimal){divide(n * ten * 10, shift, &off), places};
}

static size_t put(char *out, bool negative, struct decimal d) {
  char digits[24], *at = out;
  int n = 0;
  for (; d.places > 0 && d.whole % 10 == 0; d.whole /= 10) d.places--;
  for (; d.whole || n <= d.places; d.whole /= 10) digits[n++] = (char)('0' + d.whole % 10);
  if (negative) *at++ = '-';
  while (n > 0) {
    if (n == d.places) *at++ = '.';
    *at++ = digits[--n];
  }
  return (size_t)(at - out);
}

size_t ft_decimal(char *out, double d) {
  double size = fabs(d);
  struct decimal decimal;
  if (size >= 1e-4 && size < 1e15) {
    bool few = short_decimal(size, &decimal);
    if (!few && size >= 1e-2) long_decimal(size, &decimal);
    if (few || size >= 1e-2) return put(out, d < 0, decimal);
  }
  int n = 0;
  for (int digits = 15; digits <= MOST_DIGITS; digits++) {
    n = snprintf(out, FT_DECIMAL_MAX, "%.*g", digits, d);
    if (digits == MOST_DIGITS || strtod(out, NULL) == d) break;
  }
  return (size_t)n;
}
