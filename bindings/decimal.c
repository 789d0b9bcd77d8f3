#include "decimal.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

/* Most numbers that people write have at most 15 digits: an integer over a power of ten, and dividing the two is exact
 * to the last bit, so what gives d again is what strtod would read. */
size_t ft_decimal(char *out, double d) {
  static const double tens[] = {1e0, 1e1, 1e2,  1e3,  1e4,  1e5,  1e6,  1e7, 1e8,
                                1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16};
  double size = fabs(d);
  if (size >= 1e-4 && size < 1e15) {
    int places = 16;
    while (size * tens[places] > 1e15) places--;
    uint64_t whole = (uint64_t)(size * tens[places] + 0.5);
    if ((double)whole / tens[places] == size) { /* with most places; fewer are enough where it ends in zeros */
      for (; places > 0 && whole % 10 == 0; whole /= 10) places--;
      char digits[24], *at = out;
      int n = 0;
      for (; whole || n <= places; whole /= 10) digits[n++] = (char)('0' + whole % 10);
      if (d < 0) *at++ = '-';
      while (n > 0) {
        if (n == places) *at++ = '.';
        *at++ = digits[--n];
      }
      return (size_t)(at - out);
    }
  }
  int n = 0;
  for (int digits = 15; digits <= 17; digits++) {
    if (digits == 15 && size >= 1e-2 && size < 1e15) continue; /* tried above */
    n = snprintf(out, FT_DECIMAL_MAX, "%.*g", digits, d);
    if (digits == 17 || strtod(out, NULL) == d) break;
  }
  return (size_t)n;
}
