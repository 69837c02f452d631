"""What is changed on the way: told as it happens, and listed at the end, by which Ansible reports `changed`."""

from dataclasses import dataclass, field, replace

from os_migrate.events import Events, Note


@dataclass(frozen=True)
class Changes:
    """The changes so far, of all threads. `where` stands in front of each line."""

    events: Events
    where: str = ""
    lines: list[str] = field(default_factory=list)

    def of(self, where: str) -> "Changes":
        """Return the same list, for the changes of one thing."""
        return replace(self, where=f"{where}: ")

    def tell(self, text: str, *, warning: bool = False) -> None:
        """Tell what changes nothing."""
        self.events.tell(Note(text=f"{self.where}{text}", warning=warning))

    def add(self, text: str) -> None:
        """Tell a change."""
        self.tell(text)
        self.lines.append(f"{self.where}{text}")
