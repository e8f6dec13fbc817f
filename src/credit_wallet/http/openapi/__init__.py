"""The OpenAPI document, made from the routes, their types and the codes they can answer with.

Nothing here serves a request.
"""
