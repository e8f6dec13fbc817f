"""The parts of ``verify``: statements that must come back empty, what is recorded by cycle, and what protects rows."""
