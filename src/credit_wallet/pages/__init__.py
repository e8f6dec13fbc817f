"""Pages for people: sign-in, the wallet of an owner, the console of operators.

They ask the HTTP API for everything, in the same process: no rule and no SQL lives here, and nothing of ``http``.
"""
