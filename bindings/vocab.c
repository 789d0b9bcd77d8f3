#include "vocab.h"

#include "split.h"

/* The assembler takes the packed files in as they are: no compiler chews five million numbers. */
#define EMBED(symbol, file)                                                                        \
  __asm__(".pushsection .rodata." #symbol ",\"a\",@progbits\n"                                     \
          ".balign 64\n.globl " #symbol "\n.hidden " #symbol "\n.type " #symbol                    \
          ", @object\n" #symbol ":\n.incbin \"" file "\"\n.size " #symbol ", . - " #symbol         \
          "\n.popsection\n")

EMBED(ft_vocab_o200k, "o200k_base.vocab");
EMBED(ft_vocab_cl100k, "cl100k_base.vocab");
EMBED(ft_classes, "unicode.classes");

extern const struct ft_vocab ft_vocab_o200k __attribute__((visibility("hidden")));
extern const struct ft_vocab ft_vocab_cl100k __attribute__((visibility("hidden")));

const struct ft_vocab *ft_vocab_find(const char *name) {
  if (strcmp(name, "o200k_base") == 0) return &ft_vocab_o200k;
  return strcmp(name, "cl100k_base") == 0 ? &ft_vocab_cl100k : NULL;
}
