"""INI files as oslo.config reads them."""

from __future__ import annotations

from collections.abc import Mapping

Sections = Mapping[str, Mapping[str, object]]
Ini = dict[str, dict[str, object]]


def merged(*parts: Sections) -> Ini:
    """Return one file's content made of several parts; a section may come from more than one."""
    whole: Ini = {}
    for part in parts:
        for section, options in part.items():
            whole.setdefault(section, {}).update(options)
    return whole


def render(content: Sections) -> str:
    """Return the text of an INI file."""
    lines: list[str] = []
    for section, options in content.items():
        lines.append(f"[{section}]")
        lines.extend(f"{key} = {_value(value)}" for key, value in options.items())
        lines.append("")
    return "\n".join(lines)


def _value(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
