"""The wallet as tools for an agent, over the Model Context Protocol (MCP) with its official SDK.

Only ``server``, ``streamable_http`` and ``stdio`` import the SDK; neither a rule of money nor SQL lives here.
"""
