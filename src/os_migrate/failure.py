"""How an error is shown: one block that says what failed and what to do next."""

from os_migrate.errors import OSMigrateError, PlanError, RollbackIncomplete


def error_text(error: OSMigrateError) -> str:
    """Return an error as people read it."""
    if isinstance(error, PlanError):
        count = len(error.problems)
        lines = [
            "Error: nothing was touched, there is a problem:"
            if count == 1
            else f"Error: nothing was touched, there are {count} problems:"
        ]
        for problem in error.problems:
            lines.append(f"  {problem.where}: {problem.what}")
            lines += [f"      {problem.remedy}"] if problem.remedy else []
        return "\n".join(lines)
    lines = [f"Error: {error.what}"]
    if isinstance(error, RollbackIncomplete):
        lines += ["  still standing:", *(f"    {thing}" for thing in error.standing)]
    lines += [f"  {error.remedy}"] if error.remedy else []
    return "\n".join(lines)


def error_fields(error: OSMigrateError) -> dict[str, object]:
    """Return an error as the fields of a JSON line."""
    fields: dict[str, object] = {
        "kind": type(error).__name__,
        "exit_code": error.exit_code,
        "what": error.what,
        "remedy": error.remedy,
    }
    if isinstance(error, PlanError):
        fields["problems"] = [{"where": p.where, "what": p.what, "remedy": p.remedy} for p in error.problems]
    if isinstance(error, RollbackIncomplete):
        fields["standing"] = list(error.standing)
    return fields
