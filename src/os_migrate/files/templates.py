"""The little of Ansible's templates that variable files need: `{{ name }}` and `{{ lookup('env', 'NAME') }}`.

Anything else is refused: half an interpreter would be worse than none.
"""

import re
from collections.abc import Mapping
from typing import Final

from os_migrate.files.marked import BadValueError

_EXPRESSION: Final = re.compile(r"\{\{(.*?)\}\}", re.DOTALL)
_NAME: Final = re.compile(r"\s*([A-Za-z_][A-Za-z0-9_]*)\s*")
_ENV: Final = re.compile(r"""\s*lookup\(\s*['"](?:ansible\.builtin\.)?env['"]\s*,\s*['"](\w+)['"]\s*\)\s*""")


class Templates:
    """Fill in values with the variables of one file."""

    def __init__(self, variables: Mapping[str, object], environment: Mapping[str, str]) -> None:
        self._variables = variables
        self._environment = environment

    def fill(self, value: object, _open: tuple[str, ...] = ()) -> object:
        """Return a value with every template in it filled in; one that is nothing but a template keeps its type.

        Raises:
            BadValueError: a template is of another kind, or names what isn't there. The message holds no value.
        """
        if isinstance(value, list):
            return [self.fill(item, _open) for item in value]
        if isinstance(value, dict):
            return {key: self.fill(item, _open) for key, item in value.items()}
        if not isinstance(value, str) or not ("{{" in value or "{%" in value):
            return value
        if (whole := _EXPRESSION.fullmatch(value.strip())) and "}}" not in whole[1]:
            return self._look_up(whole[1], _open)
        if "{%" in value or "{{" in _EXPRESSION.sub("", value):
            raise BadValueError("holds a template that isn't {{ name }}")
        return _EXPRESSION.sub(lambda match: self._text(match[1], _open), value)

    def _text(self, expression: str, open_: tuple[str, ...]) -> str:
        value = self._look_up(expression, open_)
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise BadValueError(f"puts {expression.strip()} into a text, which isn't text")
        return str(value)

    def _look_up(self, expression: str, open_: tuple[str, ...]) -> object:
        if env := _ENV.fullmatch(expression):
            return self._environment.get(env[1], "")
        name_match = _NAME.fullmatch(expression)
        if not name_match:
            raise BadValueError("holds a template that isn't {{ name }} or {{ lookup('env', 'NAME') }}")
        name = name_match[1]
        if name in open_:
            raise BadValueError(f"refers to itself through {name}")
        if name not in self._variables:
            raise BadValueError(f"refers to {name}, which this file doesn't set")
        return self.fill(self._variables[name], (*open_, name))
