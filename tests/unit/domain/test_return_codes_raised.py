"""What the code raises is in the catalogue, and what the catalogue holds is raised."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache

from domain.return_codes import RETURN_CODES
from tests.paths import ROOT

ROOMS = ("domain", "projections", "api", "workers", "infrastructure")
TELLS_ONLY = ROOT / "infrastructure" / "cli"
"""Commands speak of codes that a server sent; they raise none of these."""

GIVEN = {"name", "message", "errors"}


@cache
def trees() -> tuple[tuple[str, ast.Module], ...]:
    """Every module of the program."""
    paths = [path for room in ROOMS for path in sorted((ROOT / room).rglob("*.py"))]
    return tuple(
        (str(path.relative_to(ROOT)), ast.parse(path.read_text(encoding="utf-8")))
        for path in paths
        if TELLS_ONLY not in path.parents
    )


def texts_in(node: ast.AST) -> Iterator[str]:
    """The texts that an expression may be: itself, or the branches of a choice."""
    match node:
        case ast.Constant(value=str(text)):
            yield text
        case ast.IfExp():
            yield from texts_in(node.body)
            yield from texts_in(node.orelse)


def refusals() -> Iterator[tuple[str, ast.Call]]:
    """Every place that makes a refusal."""
    for where, tree in trees():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and _called(node) == "Refused":
                yield f"{where}:{node.lineno}", node


def _called(call: ast.Call) -> str:
    return call.func.id if isinstance(call.func, ast.Name) else ""


def codes_of_fields() -> Iterator[tuple[str, str]]:
    """The codes that models of bodies name for their fields."""
    for where, tree in trees():
        for node in ast.walk(tree):
            if not isinstance(node, ast.AnnAssign) or not isinstance(node.target, ast.Name):
                continue
            if node.target.id != "return_codes" or node.value is None:
                continue
            for each in ast.walk(node.value):
                # {(field, kind): code} and {(field, kind): code for …}
                values = each.values if isinstance(each, ast.Dict) else []
                if isinstance(each, ast.DictComp):
                    values = [each.value]
                for value in values:
                    yield from ((f"{where}:{node.lineno}", text) for text in texts_in(value))


def kinds_of_our_own() -> Iterator[tuple[str, str]]:
    """The kinds of errors that validators raise, where they look like a code."""
    for where, tree in trees():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and _called(node) == "PydanticCustomError":
                for text in texts_in(node.args[0]):
                    if text[:1].isupper():
                        yield f"{where}:{node.lineno}", text


def test_the_scan_finds_what_it_looks_for() -> None:
    assert len(list(refusals())) > 20
    assert "InvalidSize" in {code for _, code in codes_of_fields()}
    assert "BadCFGDecimals" in {code for _, code in kinds_of_our_own()}


def test_every_code_that_is_raised_is_in_the_catalogue() -> None:
    raised = [(where, text) for where, call in refusals() for text in texts_in(call.args[0])]
    wrong = [
        f"{where}: {name}"
        for where, name in (*raised, *codes_of_fields(), *kinds_of_our_own())
        if name not in RETURN_CODES or not RETURN_CODES[name].may_be_raised
    ]
    assert wrong == []


def test_details_are_such_as_the_message_names() -> None:
    wrong = [
        f"{where}: {name} has no {keyword.arg}"
        for where, call in refusals()
        for name in texts_in(call.args[0])
        for keyword in call.keywords
        if keyword.arg and keyword.arg not in RETURN_CODES[name].placeholders | GIVEN
    ]
    assert wrong == []


def test_everything_in_the_catalogue_is_raised_somewhere() -> None:
    named = {
        node.value
        for _, tree in trees()
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    met = {name for name, code in RETURN_CODES.items() if code.may_be_raised}
    assert sorted(met - named) == []
