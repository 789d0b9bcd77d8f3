"""scikit-learn and rouge-score against ftrun's scorers: the same numbers on the same random predictions.

usage: scores_peer.py FTRUN [SEED]    prints one line a kind of score; exit code 1 when any number differs
"""
import json
import os
import random
import re
import subprocess
import sys
import tempfile
from collections import Counter

from rouge_score import rouge_scorer
from sklearn.metrics import accuracy_score, confusion_matrix, precision_recall_fscore_support
from sklearn.preprocessing import MultiLabelBinarizer

# stands in for ftrun's command line: scores what the file of cases holds
SCRIPT = """return function()
  local fs, json, score = require "ft.fs", require "ftrun.json", require "ftrun.score"
  for line in fs.read(os.getenv "CASES"):gmatch "[^\\n]+" do
    local case = json.decode(line)
    local s, sums = score.new(case.spec, nil, case.expected), {}
    for i = 1, s.width() do sums[i] = 0 end
    for i, answer in ipairs(case.answers) do
      for k, v in ipairs(s.row(answer, case.expected[i])) do sums[k] = sums[k] + v end
    end
    local out = { scores = {}, confusion = s.confusion and s.confusion(sums) }
    for i, v in ipairs(s.values(sums, #case.answers)) do
      local name = s.names()[i]
      if v then out.scores[name.path and name.name .. " " .. name.path or name.name] = v end
    end
    print(json.encode(out))
  end
  return 0
end
"""


def ftrun_scores(program, cases):
    with tempfile.TemporaryDirectory() as folder:
        os.mkdir(os.path.join(folder, "ftrun"))
        with open(os.path.join(folder, "ftrun", "cli.lua"), "w") as f:
            f.write(SCRIPT)
        path = os.path.join(folder, "cases.jsonl")
        with open(path, "w") as f:
            f.writelines(json.dumps(case) + "\n" for case in cases)
        out = subprocess.run([program], env={"FTRUN_LUA": folder, "CASES": path, "PATH": os.environ["PATH"]},
                             capture_output=True, check=True, text=True).stdout
        return [json.loads(line) for line in out.splitlines()]


def classification(rng):
    labels = [f"label {i}" for i in range(rng.randint(2, 6))]
    expected = [rng.choice(labels) for _ in range(rng.randint(1, 60))]
    answers = [e if rng.random() < 0.6 else rng.choice(labels + ["nonsense"]) for e in expected]
    return {"spec": {"kind": "classification", "labels": labels}, "expected": expected, "answers": answers}


def check_classification(case, got):
    labels, expected, answers = case["spec"]["labels"], case["expected"], case["answers"]
    used = [name for name in labels if name in expected or name in answers]
    p, r, f, _ = precision_recall_fscore_support(expected, answers, labels=used, average="macro", zero_division=0)
    pairs = [("accuracy", accuracy_score(expected, answers)), ("precision", p), ("recall", r), ("f1", f)]
    result = [(name, got["scores"][name]["value"], value) for name, value in pairs]
    each = precision_recall_fscore_support(expected, answers, labels=used, zero_division=0)
    for i, name in enumerate(used):
        for key, values in zip(("p", "r", "f1"), each):
            result.append((f"{key} of {name}", got["scores"]["f1 " + name][key], values[i]))
    matrix = confusion_matrix(expected, answers, labels=labels + ["nonsense"])
    for i, row in enumerate(got["confusion"]["rows"]):
        for k, n in enumerate(row):
            result.append((f"confusion {i} {k}", n, matrix[i][k]))
    return result


def sets(rng):
    values = [f"в{i}" for i in range(12)]
    expected = [sorted(rng.sample(values, rng.randint(0, 6))) for _ in range(rng.randint(1, 40))]
    answers = [[v for v in row if rng.random() < 0.8] + rng.sample([v for v in values if v not in row], rng.randint(0, 3))
               for row in expected]
    return {"spec": {"kind": "json_f1", "paths": ["e[].n"]}, "sets": (expected, answers),
            **{key: [json.dumps({"e": [{"n": v} for v in row]}, ensure_ascii=False) for row in rows]
               for key, rows in (("expected", expected), ("answers", answers))}}


def check_sets(case, got):
    expected, answers = case["sets"]
    binary = MultiLabelBinarizer().fit(expected + answers)
    truth, found = binary.transform(expected), binary.transform(answers)
    if not truth.any() and not found.any():
        return [("no f1", "f1" in got["scores"], False)]
    p, r, f, _ = precision_recall_fscore_support(truth, found, average="micro", zero_division=0)
    exact = sum(set(a) == set(b) for a, b in zip(expected, answers)) / len(expected)
    pairs = [("precision", p), ("recall", r), ("f1", f), ("exact", exact)]
    return [(name, got["scores"][name]["value"], value) for name, value in pairs]


class Words:
    """rouge-score's own tokenizer knows ASCII alone: this one gives it the words of any script."""

    def tokenize(self, text):
        return [w.lower() for w in re.findall(r"\w+(?:['’]\w+)*", text.replace("_", " "))]


def squad_f1(answer, expected):
    """compute_f1 of SQuAD 2.0's evaluation script, on words that are cut already."""
    common = sum((Counter(answer) & Counter(expected)).values())
    if not answer or not expected:
        return (float(answer == expected),) * 3
    if common == 0:
        return 0.0, 0.0, 0.0
    p, r = common / len(answer), common / len(expected)
    return 2 * p * r / (p + r), p, r


VOCABULARY = "Закон України набирає чинності з дня ОПУБЛІКУВАННЯ Її об'єкт п'ять стаття 12 law Enters into FORCE".split()


def texts(kind):
    def make(rng):
        def text(words):
            return "".join(w + rng.choice([" ", ", ", " — ", "\n", ". "]) for w in words)
        expected, answers = [], []
        for _ in range(rng.randint(1, 8)):
            words = [rng.choice(VOCABULARY) for _ in range(rng.randint(1, 90))]
            kept = [w if rng.random() < 0.7 else rng.choice(VOCABULARY) for w in words if rng.random() < 0.9]
            expected.append(text(words))
            answers.append(text(kept) or "-")
        return {"spec": {"kind": kind}, "expected": expected, "answers": answers}
    make.__name__ = kind
    return make


def check_texts(case, got):
    kind, words, rows = case["spec"]["kind"], Words(), []
    scorer = rouge_scorer.RougeScorer(["rougeL"], tokenizer=words)
    for answer, expected in zip(case["answers"], case["expected"]):
        if kind == "token_f1":
            rows.append(squad_f1(words.tokenize(answer), words.tokenize(expected)))
        else:
            s = scorer.score(expected, answer)["rougeL"]
            rows.append((s.fmeasure, s.precision, s.recall))
    means = [sum(column) / len(rows) for column in zip(*rows)]
    return [(name, got["scores"][name]["value"], mean) for name, mean in zip((kind, "precision", "recall"), means)]


def check_macro(case, got):
    """The fields of a JSON answer as scikit-learn's samples would be: each field's own numbers, then their mean."""
    each = []
    for name in ("a", "b"):
        sides = [[json.loads(text)[name] for text in case[key]] for key in ("expected", "answers")]
        binary = MultiLabelBinarizer().fit(sides[0] + sides[1])
        truth, found = binary.transform(sides[0]), binary.transform(sides[1])
        if truth.any() or found.any():
            each.append(precision_recall_fscore_support(truth, found, average="micro", zero_division=0)[:3])
    names = ("macro_precision", "macro_recall", "macro_f1")
    return [(name, got["scores"][name]["value"], sum(column) / len(each)) for name, column in zip(names, zip(*each))]


def fields(rng):
    def row():
        return json.dumps({name: sorted(rng.sample(range(8), rng.randint(0, 5))) for name in ("a", "b")})
    n = rng.randint(2, 30)
    return {"spec": {"kind": "json_f1", "paths": ["a[]", "b[]"]}, "expected": [row() for _ in range(n)],
            "answers": [row() for _ in range(n)]}


def main():
    program, seed = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 1
    rng, wrong = random.Random(seed), 0
    for make, check in ((classification, check_classification), (sets, check_sets), (fields, check_macro),
                        (texts("rouge_l"), check_texts), (texts("token_f1"), check_texts)):
        cases, numbers = [make(rng) for _ in range(200)], 0
        for case, got in zip(cases, ftrun_scores(program, cases), strict=True):
            for name, ours, theirs in check(case, got):
                numbers += 1
                if abs(ours - theirs) > 1e-12:
                    wrong += 1
                    print(f"{make.__name__}: {name}: ftrun {ours}, peer {theirs}")
        print(f"{make.__name__}: {numbers} numbers of {len(cases)} random evaluations compared")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
