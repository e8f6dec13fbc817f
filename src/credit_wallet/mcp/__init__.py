"""The wallet as tools of an agent, over the Model Context Protocol (MCP) with its official SDK.

``accounts`` is what the tools ask of a wallet, ``replies`` what they answer, ``tools`` and ``prompts`` what an agent is
offered. ``server`` puts them into the SDK's words; ``exchange`` speaks them over HTTP and ``stdio`` over standard input
and output. Only these three import the SDK.
"""
