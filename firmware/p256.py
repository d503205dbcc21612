# SPDX-License-Identifier: EUPL-1.2
"""ECDSA P-256: whether a signature is right. Verifies only, so nothing here is secret and no time has to be constant.

FIPS 186-5 6.4.2 "ECDSA Signature Verification Algorithm"; the curve: SP 800-186 3.2.1.3 "P-256". Points are (X, Y, Z)
in Jacobian coordinates (x = X/Z^2, y = Y/Z^3; Z = 0 is infinity), formulas for a = -3. Both products are added up in
one go, bit by bit (Shamir's trick). Loaded for an update only.
"""

_P = 0xFFFFFFFF00000001000000000000000000000000FFFFFFFFFFFFFFFFFFFFFFFF
_N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_B = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B
_GX = 0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296
_GY = 0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5

if False:  # types only
    Affine = tuple[int, int]
    Point = tuple[int, int, int]

KEY_SIZE = 64  # x then y, 32 bytes each, big endian
SIGNATURE_SIZE = 64  # r then s, likewise


def verify(key: bytes, digest: bytes, signature: bytes) -> bool:
    """Whether ``signature`` (64 bytes) is that of ``key`` (64 bytes) for the message with this SHA-256."""
    if len(key) != KEY_SIZE or len(signature) != SIGNATURE_SIZE or len(digest) != 32:
        return False
    x, y = int.from_bytes(key[:32], "big"), int.from_bytes(key[32:], "big")
    if x >= _P or y >= _P or (y * y - (x * x - 3) * x - _B) % _P:
        return False  # the curve has prime order: whatever lies on it, and is no infinity, is a key
    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
    if not 0 < r < _N or not 0 < s < _N:
        return False
    w = _inverse(s, _N)
    point = _sum(int.from_bytes(digest, "big") * w % _N, r * w % _N, (x, y))
    zz = point[2] * point[2] % _P
    if not zz:
        return False
    # x mod n = r, without dividing by Z^2; x may be r + n, too, where that is below p
    return (r * zz - point[0]) % _P == 0 or (r + _N < _P and ((r + _N) * zz - point[0]) % _P == 0)


def _sum(a: int, b: int, q: "Affine") -> "Point":
    """a times the base point and b times ``q``."""
    g = (_GX, _GY)
    both = _affine(_add((_GX, _GY, 1), q))
    result = (1, 1, 0)
    mask = 1 << 255
    while mask:
        result = _double(result)
        if a & mask:
            if not b & mask:
                result = _add(result, g)
            elif both is not None:
                result = _add(result, both)
        elif b & mask:
            result = _add(result, q)
        mask >>= 1
    return result


def _double(point: "Point") -> "Point":
    x, y, z = point
    yy = y * y % _P
    zz = z * z % _P
    s = 4 * x * yy % _P
    m = 3 * (x - zz) * (x + zz) % _P
    x3 = (m * m - 2 * s) % _P
    return x3, (m * (s - x3) - 8 * yy * yy) % _P, 2 * y * z % _P


def _add(point: "Point", other: "Affine") -> "Point":
    """``other`` is not infinity."""
    x, y, z = point
    if not z:
        return other[0], other[1], 1
    zz = z * z % _P
    h = (other[0] * zz - x) % _P
    r = (other[1] * zz * z - y) % _P
    if not h:
        return (1, 1, 0) if r else _double(point)
    hh = h * h % _P
    v = x * hh % _P
    hhh = h * hh % _P
    x3 = (r * r - hhh - 2 * v) % _P
    return x3, (r * (v - x3) - y * hhh) % _P, h * z % _P


def _affine(point: "Point") -> "Affine | None":
    """None: infinity."""
    if not point[2]:
        return None
    i = _inverse(point[2], _P)
    ii = i * i % _P
    return point[0] * ii % _P, point[1] * ii * i % _P


def _inverse(a: int, modulus: int) -> int:
    """Extended Euclid; ``modulus`` is prime and ``a`` no multiple of it."""
    low, high = a % modulus, modulus
    one, other = 1, 0
    while low > 1:
        ratio = high // low
        low, high = high - ratio * low, low
        one, other = other - ratio * one, one
    return one % modulus
