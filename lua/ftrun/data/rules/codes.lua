--- Every finding that the format rules can make: its stable code, how bad it is, what is wrong, and how to mend it. The
--- messages, `validate --codes` and README come from this table. "fix": `--fix` mends it.
---
---   error    the provider refuses the file or the row, or the row teaches something broken
---   warning  it is accepted, but hardly what was meant
---   note     worth knowing
---@class ftrun.Code
---@field code string
---@field severity "error"|"warning"|"note"
---@field what string
---@field mend string
---@field fixable boolean?
local M = {}

---@type { [1]: string, [2]: table[] }[]  groups: a title and its codes
M.groups = {
  { "The file as bytes", {
    { "bom", "error", "a byte order mark stands before the first row", "save as UTF-8 without BOM", "fix" },
    { "utf16", "error", "the file is UTF-16", "convert it: iconv -f UTF-16 -t UTF-8" },
    { "crlf", "warning", "the line ends in CR LF", "end lines with LF alone", "fix" },
    { "empty_line", "error", "an empty line", "remove it; each line holds one row", "fix" },
    { "too_long", "error", "the line is too long to be read", "put one row on a line" },
    { "utf8", "error", "bytes that are no UTF-8", "save the file as UTF-8" },
    { "nul", "error", "a NUL byte", "remove it; inside a string write \\u0000" },
    { "control", "error", "a raw control character inside a string", "write \\n, \\t or \\u00XX" },
  } },
  { "JSON (RFC 8259)", {
    { "syntax", "error", "not JSON", "write one whole JSON object on the line" },
    { "number", "error", "not a JSON number", "write digits without a leading zero; no NaN, no Infinity" },
    { "surrogate", "error", "half of a surrogate pair", "write both halves, or the character itself" },
    { "duplicate_key", "error", "a key stands twice in one object", "keep one of them: readers differ in which wins" },
    { "trailing", "error", "something follows the JSON value", "put each row on a line of its own" },
    { "depth", "error", "nested more than 512 levels deep", "flatten the value" },
    { "not_object", "error", "the row is no JSON object", "write {\"messages\": [...]}" },
    { "unknown_key", "error", "a key that the format does not know", "remove it or correct its name", "fix" },
  } },
  { "The file as a whole", {
    { "no_rows", "error", "there are no rows", "check the path and how the file was written" },
    { "invalid_n_examples", "error", "too few or too many examples",
      "add or remove rows; for a validation file say --validation" },
    { "file_too_large", "error", "the file is larger than any upload", "split it or shorten rows" },
    { "file_needs_upload", "warning", "the file is too large for one request to /files",
      "send it in parts through /uploads" },
    { "method_not_offered", "error", "the model cannot be tuned this way", "choose another model or method" },
    { "example_too_long", "error", "the example is longer than the model's limit: its end, the answer, is cut off",
      "shorten the texts before the answer" },
  } },
  { "Messages", {
    { "missing_messages", "error", "the row has no messages", "write \"messages\": [...]" },
    { "messages_type", "error", "messages is no list", "write \"messages\": [{...}, ...]" },
    { "no_messages", "error", "the list of messages is empty", "add messages, or remove the row" },
    { "message_type", "error", "a message is no object", "write {\"role\": ..., \"content\": ...}" },
    { "missing_role", "error", "the message has no role", "add \"role\": \"system\", \"user\" or \"assistant\"" },
    { "unknown_role", "error", "a role that the format does not know",
      "use system, developer, user, assistant or tool" },
    { "misplaced_key", "error", "a key that messages of this role do not have", "move it to where it belongs" },
    { "unknown_message_key", "error", "a key that messages do not have", "remove it or correct its name", "fix" },
    { "missing_content", "error", "the message has no content", "add \"content\"" },
    { "content_type", "error", "content is neither a text nor a list of parts", "write a string" },
    { "empty_answer", "error", "the answer is empty", "write what the model has to answer, or remove the row" },
    { "empty_content", "warning", "the content is empty or white space", "fill it, or remove the message" },
    { "label_json", "error", "the answer begins like JSON, and is broken",
      "correct it: a broken answer is learnt too" },
    { "label_list", "warning", "the answer begins like a JSON list, and is none",
      "correct it, or begin the text otherwise" },
    { "bad_name", "warning", "a name that APIs refuse", "use up to 64 letters, digits, '_' and '-'" },
    { "name_type", "error", "name is no text", "write a string, or leave it out" },
    { "missing_name", "error", "a function's message without its name", "add \"name\"" },
    { "refusal_type", "error", "refusal is no text", "write a string, or leave it out" },
    { "weight_value", "error", "a weight that is neither 0 nor 1", "write 0 (not trained) or 1" },
    { "weight_role", "error", "a weight on a message that is not the assistant's", "remove it" },
    { "nothing_to_learn", "error", "every answer has weight 0", "give one answer weight 1, or remove the row" },
    { "missing_assistant", "error", "there is no answer of the assistant to learn from",
      "add it as the last message" },
    { "last_not_assistant", "error", "the last message is not the assistant's", "end with the answer to be learnt" },
    { "missing_user", "warning", "there is no message of the user", "add what is asked" },
    { "system_not_first", "warning", "instructions stand behind other messages", "put them first" },
    { "repeated_assistant", "warning", "two answers follow one another", "join them; some providers refuse the row" },
  } },
  { "Parts and images", {
    { "no_parts", "error", "content is an empty list", "add a part, or write a text" },
    { "part_type", "error", "a part is no object with a known type", "write {\"type\": \"text\", \"text\": ...}" },
    { "misplaced_part", "error", "a part that messages of this role cannot have", "remove it; images are the user's" },
    { "part_not_trainable", "error", "audio and files cannot be trained on", "leave them out" },
    { "missing_text", "error", "a text part without its text", "add \"text\": \"...\"" },
    { "image_url", "error", "an image without its address", "write {\"image_url\": {\"url\": ...}}" },
    { "image_format", "error", "an image that is no JPEG, PNG or WEBP, or no URL",
      "give a https:// or data:image/png;base64, URL" },
    { "image_too_large", "error", "an image of more than 10 MB", "scale it down" },
    { "image_detail", "error", "detail is none of auto, low and high", "use one of these" },
    { "too_many_images", "error", "more than 10 images in one example", "keep 10 at most" },
    { "images_not_supported", "error", "the model cannot be tuned on images",
      "use gpt-4o-2024-08-06, or only texts" },
  } },
  { "Tools", {
    { "tools_type", "error", "tools is no list of tools", "write \"tools\": [{...}], or leave it out" },
    { "tool_type", "error", "a tool or call that is no function",
      "write {\"type\": \"function\", \"function\": {...}}" },
    { "function_type", "error", "a function is no object", "write {\"name\": ..., \"parameters\": {...}}" },
    { "function_name", "error", "a function without a proper name", "use 1 to 64 letters, digits, '_' and '-'" },
    { "function_parameters", "error", "parameters are no JSON Schema object", "write {\"type\": \"object\", ...}" },
    { "repeated_function", "error", "two functions have one name", "rename or remove one" },
    { "too_many_functions", "error", "more than 128 functions", "keep those that are called" },
    { "tools_and_functions", "error", "tools and functions in one row", "keep tools; functions are deprecated" },
    { "deprecated_functions", "note", "functions and function_call are deprecated", "use tools and tool_calls" },
    { "parallel_tool_calls", "error", "parallel_tool_calls is not true or false", "write true or false" },
    { "parallel_without_tools", "warning", "parallel_tool_calls without tools", "remove it, or add the tools" },
    { "calls_in_parallel", "warning", "several calls at once, though parallel_tool_calls is false",
      "make it true, or give each call its own message" },
    { "tool_calls_type", "error", "tool_calls is no list of calls", "write \"tool_calls\": [{...}], or leave it out" },
    { "call_id", "error", "a call without an id of its own", "add a unique \"id\": \"call_...\"" },
    { "call_arguments", "error", "arguments are no text that holds a JSON object",
      "write the JSON as a string: \"{\\\"city\\\": \\\"Kyiv\\\"}\"" },
    { "unknown_function", "error", "a call of a function that the row does not describe", "add it to tools" },
    { "missing_tools", "error", "calls in a row without tools", "add \"tools\" that describe what is called" },
    { "tool_call_id", "error", "a tool's message without the id of a call before it", "repeat the call's id" },
    { "unanswered_call", "error", "a call without the tool's message behind it",
      "add {\"role\": \"tool\", \"tool_call_id\": ...}" },
  } },
  { "Preference, reinforcement, completions", {
    { "missing_input", "error", "the row has no input object", "write \"input\": {\"messages\": [...]}" },
    { "missing_output", "error", "an output is missing", "add preferred_output and non_preferred_output" },
    { "output_type", "error", "an output is no list of one message",
      "write [{\"role\": \"assistant\", \"content\": ...}]" },
    { "output_role", "error", "an output is not the assistant's", "write \"role\": \"assistant\"" },
    { "text_only", "error", "images in a preference row", "use only texts: DPO takes no images" },
    { "last_not_user", "error", "the last message is not the user's", "end with what is asked: the model answers it" },
    { "response_format", "error", "response_format is no known format",
      "write {\"type\": \"json_schema\", \"json_schema\": {\"name\": ..., \"schema\": {...}}}" },
    { "missing_prompt", "error", "prompt is missing or no text", "write \"prompt\": \"...\"" },
    { "missing_completion", "error", "completion is missing or no text", "write \"completion\": \"...\"" },
    { "empty_completion", "error", "the completion is empty", "write what has to be completed" },
  } },
  { "Rows seen together (validate --deep, plan)", {
    { "leak", "error", "a prompt is in train and in validation", "take it out of one side" },
    { "contradiction", "warning", "one prompt has several answers", "decide for one" },
    { "duplicate_row", "warning", "the row comes again", "keep one" },
    { "near_leak", "warning", "a prompt of validation is nearly in train",
      "split by a group that keeps such rows on one side" },
    { "near_duplicate", "warning", "a prompt is nearly the same as another", "keep one unless the difference matters" },
    { "duplicates_unseen", "note", "the memory for prompts is full", "split the file to compare all of its rows" },
    { "secret_key", "error", "a key or password stands in a text", "revoke it if it is real, and take it out" },
    { "personal_email", "warning", "e-mail addresses", "take them out unless the model must learn them" },
    { "personal_phone", "warning", "phone numbers", "take them out unless the model must learn them" },
    { "personal_tax_number", "warning", "Ukrainian tax numbers", "take them out unless the model must learn them" },
    { "personal_iban", "warning", "IBANs", "take them out unless the model must learn them" },
    { "double_escape", "warning", "text that was escaped twice: \\u0421 for a letter", "write the letters" },
    { "label_skew", "note", "more than 90 % of the answers are one label", "add rows of the others" },
    { "label_unseen", "warning", "a label is in validation and never in train", "add rows of it to train" },
    { "answer_not_json", "warning", "the answer is no JSON, as the others are", "correct it" },
  } },
}

---@type table<string, ftrun.Code>
M.all = {}
for _, group in ipairs(M.groups) do
  for _, row in ipairs(group[2]) do
    M.all[row[1]] = { code = row[1], severity = row[2], what = row[3], mend = row[4], fixable = row[5] == "fix" or nil }
  end
end

--- A finding with its message: what is wrong (or better said by `detail`), and what to do.
---@param code string
---@param path string?    JSON path, indices from 0 ("messages[1].role")
---@param detail string?
---@return ftrun.Finding
function M.finding(code, path, detail)
  local row = M.all[code]
  if code == "syntax" and detail then detail = row.what .. ": " .. detail end
  return { code = code, severity = row.severity, path = path or "", fixable = row.fixable,
    message = (detail or row.what) .. "; " .. row.mend }
end

--- Gives a context what rules need to report: c.found(code, path, detail), c.findings, c.images.
---@param c table
---@return table c
function M.collect(c)
  c.findings, c.images = {}, 0
  function c.found(code, path, detail) c.findings[#c.findings + 1] = M.finding(code, path, detail) end
  return c
end

return M
