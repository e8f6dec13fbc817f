"""Where an operator finds what is a wallet owner's: each address under ``/credit`` again, under that of the wallet.

``/credit/keys/{key_id}`` is ``/operator/wallets/{wallet_id}/keys/{key_id}``, and ``/credit/wallet`` the wallet itself.
The service mounts its routes by this rule, and the clients address their calls by it.
"""

from __future__ import annotations

_OWNERS = "/credit"
_ITSELF = "/wallet"


def mirrored(path: str, wallet: int | str) -> str:
    """The operator's address of what the owner of ``wallet`` has at ``path``; any other address stays as it is.

    ``wallet`` is an id, or what stands for one in the path of a route.
    """
    if not path.startswith(f"{_OWNERS}/"):
        return path
    rest = path.removeprefix(_OWNERS)
    return f"/operator/wallets/{wallet}{'' if rest == _ITSELF else rest}"
