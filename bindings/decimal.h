/* Numbers as decimal texts. */
#ifndef FT_DECIMAL_H
#define FT_DECIMAL_H

#include <stddef.h>

enum { FT_DECIMAL_MAX = 40 };

/* Writes the finite number d to out, which has room for FT_DECIMAL_MAX bytes, as JSON has it and in
 * the fewest digits that mean d again, at most 17. Returns how many bytes, without a NUL. */
size_t ft_decimal(char *out, double d);

#endif
