local t = require "harness"
local wrap = require "ftrun.text.wrap"

t.test("a line that fits is left as it is, spaces and all", function()
  t.eq(wrap.text("a  b   c", 8), "a  b   c")
  t.eq(wrap.text("", 8), "")
  t.eq(wrap.text(("long "):rep(99), math.huge), ("long "):rep(99))
end)

t.test("a long line breaks between words, and its rest is set in", function()
  t.eq(wrap.text("one two three four five", 10), "one two\n  three\n  four\n  five")
  t.eq(wrap.text("  one two three four", 12), "  one two\n  three four")
  t.eq(wrap.text("one two three", 10, 5), "one\n  two\n  three")
end)

t.test("the rest of a row of a table stands below its last column", function()
  t.eq(wrap.text("name  what it does", 12, nil, 6), "name  what\n      it\n      does")
  t.eq(wrap.text("name  what", 12, nil, 6), "name  what")
end)

t.test("each line is broken for itself, and columns are characters, not bytes", function()
  t.eq(wrap.text("один два\nтри чотири", 10), "один два\nтри чотири")
  t.eq(wrap.text("один два\nтри чотири", 9), "один два\nтри\n  чотири")
end)

t.test("a word longer than the line stays whole", function()
  t.eq(wrap.text("a https://example.org/long b", 10), "a\n  https://example.org/long\n  b")
end)

t.test("a command at the end of a line is not broken: it is there to be copied", function()
  t.eq(wrap.text("detached; go on with: ftrun --local recipes/a.lua --set seed=1", 20),
    "detached; go on\n  with:\n  ftrun --local recipes/a.lua --set seed=1")
  t.eq(wrap.text("go on with: ftrun a.lua", 40), "go on with: ftrun a.lua")
end)

t.test("a command on a line of its own is not broken; a sentence that begins like one is", function()
  t.eq(wrap.text("go on with:\n  ftrun --local a.lua --set seed=1", 12),
    "go on with:\n  ftrun --local a.lua --set seed=1")
  t.eq(wrap.text("  ftrun models lists what is there.", 20), "  ftrun models lists\n  what is there.")
end)
