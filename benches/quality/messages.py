#!/usr/bin/env python3
"""Makes the pack `messages`: what a program prints, and the line that prints it.

    benches/quality/messages.py WORK PACK... > benches/quality/packs/messages/queries.jsonl

WORK has the worktrees that the quality bench made for each PACK. A query is a text with placeholders out of a
call that reports something, in code that is no test, with values in place of the placeholders as a run would
have them; its text without the placeholders is in no other place of the repository. At most ten are drawn at
random of a repository: nobody looks at what is found before.
"""

import json
import pathlib
import random
import re
import subprocess
import sys

STRING = r'"((?:[^"\\\n]|\\.)*)"'
CALLS = {
    "go": rf"(?:Errorf|Fatalf|Panicf|Warnf|Printf|debugPrint)\((?:[\w.]+, )?{STRING}",
    "rust": rf"(?:bail!|anyhow!|panic!|format!|write!|warn!|error!|err_message!)\(\s*(?:f, )?{STRING}",
    "python": rf"(?:raise [\w.]+|Error|warn|fail|echo)\(\s*(?:_\()?f?{STRING}",
    "typescript": r"(?:Error|warn|error|\w*Exception)\(\s*`((?:[^`\\]|\\.)*)`",
}
LANGUAGES = {".go": "go", ".rs": "rust", ".py": "python", ".ts": "typescript", ".js": "typescript"}
PLACEHOLDER = {
    "go": r"%[-+# 0-9.]*[a-zA-Z]",
    "rust": r"\{[^{}]*\}",
    "python": r"\{[^{}]*\}|%(?:\(\w+\))?[srd]",
    "typescript": r"\$\{[^{}]*\}",
}
VALUES = ["10.0.3.7:2379", "3m12s", "17", "https://host.example.com/v1/items", "8e9e05c52164694d", "ada@example.org",
          "member-3", "2026-03-04T11:02:17Z", "4194304", "settings", "/var/lib/app/data.json", "null"]
OF_EACH = 10


def messages(root):
    """(path, line, language, text) of every candidate."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=root, check=True, capture_output=True).stdout
    texts = {}
    for name in listed.decode(errors="replace").split("\0"):
        path = root / name
        if path.suffix in LANGUAGES and path.is_file() and path.stat().st_size < 500_000:
            texts[name] = path.read_text(errors="replace")
    for name, text in sorted(texts.items()):
        if re.search(r"test|spec|example|bench|fixture|vendor|generated|/dist/|\.min\.|docs?/", name):
            continue
        language = LANGUAGES[pathlib.Path(name).suffix]
        # Rust keeps unit tests below the code.
        text = text.split("#[cfg(test)]")[0] if language == "rust" else text
        for call in re.finditer(CALLS[language], text):
            message = call[1]
            pieces = [piece for piece in re.split(PLACEHOLDER[language], message) if len(piece) > 3]
            words = re.findall(r"[a-z]{3,}", " ".join(pieces))
            if len(pieces) and len(words) >= 3 and re.search(PLACEHOLDER[language], message) and "\\n" not in message[:-2]:
                longest = max(pieces, key=len)
                if sum(other.count(longest) for other in texts.values()) == 1:
                    yield name, text.count("\n", 0, call.start(1)) + 1, language, message


def main():
    work, packs = pathlib.Path(sys.argv[1]), sys.argv[2:]
    draw = random.Random(1)
    for pack in packs:
        for root in sorted(path for path in (work / pack).iterdir() if (path / ".git").exists()):
            found = list(messages(root))
            draw.shuffle(found)
            for number, (path, line, language, message) in enumerate(sorted(found[:OF_EACH]), 1):
                query = re.sub(PLACEHOLDER[language], lambda _: draw.choice(VALUES), message)
                query = query.replace('\\"', '"').replace("\\n", "").replace("%%", "%").strip()
                print(json.dumps({
                    "id": f"messages-{root.name}-{number:02}", "repo": root.name, "language": language, "query": query,
                    "relevant": [{"path": path, "start_line": line, "end_line": line, "primary": True}],
                    "category": "message"}))


if __name__ == "__main__":
    main()
