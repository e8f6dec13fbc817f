"""The HTTP service for agents, owners and operators: the routes, the OpenAPI document, the server.

Neither a rule of money nor SQL lives here.
"""
