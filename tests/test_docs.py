"""What the documents promise is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from sweeps.cli import _parser

ROOT = Path(__file__).parents[1]
DOCUMENTS = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_relative_link_leads_somewhere(document):
    links = re.findall(r"\]\(([^)#]+)", document.read_text())
    relative = [link for link in links if "://" not in link]
    assert [link for link in relative if not (document.parent / link).exists()] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_command_line_can_be_parsed(document):
    for line in re.findall(r"^(?:\$ )?freezo (.+)$", document.read_text(), flags=re.MULTILINE):
        words = re.findall(r"'[^']*'|\S+", line.split("  #")[0].split(" | ")[0])
        _parser().parse_args([word.strip("'") for word in words])


def test_the_readme_s_make_targets_exist():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    named = set(re.findall(r"(?m)(?:^|`)make ([a-z-]+)", (ROOT / "README.md").read_text()))
    assert named
    assert named <= targets


def test_the_readme_s_program_runs(tmp_path, monkeypatch):
    (program,) = re.findall(
        r"```python\n(.*?)```", (ROOT / "README.md").read_text(), flags=re.DOTALL
    )
    monkeypatch.chdir(tmp_path)
    exec(compile(program, "README.md", "exec"), {})
