"""What HTTP, MCP, the gate and the client share: bodies, problems, authentication, receiving.

No route lives here, and no server is imported.
"""
