"""The templates of the site, in one language: ``t("id", "en")`` is chosen when they are compiled, not on every page."""

from __future__ import annotations

from typing import Any

from jinja2 import BytecodeCache, Environment, nodes
from jinja2.bccache import Bucket
from jinja2.visitor import NodeTransformer


class Templates(Environment):
    """Jinja's environment for the language whose texts stand at ``place`` in every ``t(…)``."""

    def __init__(self, place: int, **options: Any) -> None:
        super().__init__(bytecode_cache=_COMPILED[place], **options)
        self._chooser = _Chooser(place)

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        parsed: nodes.Template = self._chooser.visit(super()._parse(source, name, filename))
        return parsed


class _Compiled(BytecodeCache):
    """What was compiled in this process, which publishes again and again."""

    def __init__(self) -> None:
        self._codes: dict[tuple[str, str], Any] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        bucket.code = self._codes.get((bucket.key, bucket.checksum))

    def dump_bytecode(self, bucket: Bucket) -> None:
        self._codes[bucket.key, bucket.checksum] = bucket.code


_COMPILED = (_Compiled(), _Compiled())


class _Chooser(NodeTransformer):
    def __init__(self, place: int) -> None:
        self._place = place

    def visit_Call(self, call: nodes.Call) -> nodes.Node:
        texts = [each for each in call.args if isinstance(each, nodes.Const)]
        if isinstance(call.node, nodes.Name) and call.node.name == "t" and len(texts) == len(call.args) == 2:
            return nodes.Const(texts[self._place].value, lineno=call.lineno)
        return self.generic_visit(call)
