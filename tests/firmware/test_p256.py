# SPDX-License-Identifier: EUPL-1.2
"""ECDSA P-256 against published vectors, against another implementation, and broken on purpose."""

import hashlib
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, decode_dss_signature, encode_dss_signature
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware.p256 import verify
from tests.firmware.mutants.loading import Mutant, broken, load, sources

ROOT = Path(__file__).parents[2]
# SP 800-186 3.2.1.3 "P-256"
P = "ffffffff00000001000000000000000000000000ffffffffffffffffffffffff"
N = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551"
GX = "6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296"
GY = "4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5"
# RFC 6979 A.2.5 "ECDSA, 256 Bits (Prime Field)": public key, and both signatures with SHA-256
UX = "60fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb6"
UY = "7903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177a3c294d4462299"
SAMPLE = hashlib.sha256(b"sample").hexdigest()
SAMPLE_R = "efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716"
SAMPLE_S = "f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8"
TEST = hashlib.sha256(b"test").hexdigest()
TEST_R = "f1abb023518351cd71d881567b1ea663ed3efcf6c5132b354f28d3b0b7d38367"
TEST_S = "019f4113742a2b14bd25926b49c649155f267e60d3814b4c0cc84250e46f0083"
# A key whose x also fits in 32 bytes with p added, and a signature for it
SMALL_X = "0000000000000000000000000000000000000000000000000000000000000005"
SMALL_Y = "459243b9aa581806fe913bce99817ade11ca503c64d9a3c533415c083248fbcc"
SMALL_DIGEST = "0d3f043998c571049ee817242a2a9654c1a7641f764b10f996f5fe5dffa6c61a"
SMALL_R = "b2904acf11a38591bbcc78708eec831e2e875baaf621ed4d07b03948431b763b"
SMALL_S = "d2a8a34a3c6f0a470e7230a63260f66494e3791c93773d6c323a02d69febeab9"
ZERO, ONE = "00" * 32, "00" * 31 + "01"


def word(number: int) -> str:
    return number.to_bytes(32, "big").hex()


class Vector(NamedTuple):
    name: str
    x: str
    y: str
    digest: str
    r: str
    s: str
    good: bool


# What is not from the RFC was made for this test, by the arithmetic of the standard; a test asks OpenSSL about each.
VECTORS = (
    Vector("RFC 6979 sample", UX, UY, SAMPLE, SAMPLE_R, SAMPLE_S, True),
    Vector("RFC 6979 test", UX, UY, TEST, TEST_R, TEST_S, True),
    Vector("s and n - s", UX, UY, SAMPLE, SAMPLE_R, word(int(N, 16) - int(SAMPLE_S, 16)), True),
    Vector(
        "key 1: the key is the base point",
        GX, GY, SAMPLE,
        "7cf27b188d034f7e8a52380304b51ac3c08969e277f21b35a60b48fc47669978",
        "160f2b7d9bcf5f1fb6800cecccd49d458f12c61b9ce202e30a315de1d6d8a2f3",
        True,
    ),
    Vector(
        "key n - 1: both points together are infinity",
        GX, "b01cbd1c01e58065711814b583f061e9d431cca994cea1313449bf97c840ae0a", SAMPLE,
        "7cf27b188d034f7e8a52380304b51ac3c08969e277f21b35a60b48fc47669978",
        "991cb0640ecc0fa22c2dd4e9c81f82818b7056e6cc07863257dfdfa88bd52ecc",
        True,
    ),
    Vector(
        "a hash of zero",
        UX, UY, ZERO,
        "8e533b6fa0bf7b4625bb30667c01fb607ef9f8b8a80fef5b300628703187b2a3",
        "27c8779d093153d2867ec9dc74324e782a1a815fd2cf9809740cd179c8328229",
        True,
    ),
    Vector(
        "x is r + n",
        "03bcbf0512bfa36558dc3c26890c5018a3b7620e2be9815ac5cf76d0bf085727",
        "f7037910feda2b739626888d4a54e12ef128156d7b4a5e2465d54788e831e8ed",
        SAMPLE, word(3), word(5), True,
    ),
    Vector("another message", UX, UY, TEST, SAMPLE_R, SAMPLE_S, False),
    Vector("another key", GX, GY, SAMPLE, SAMPLE_R, SAMPLE_S, False),
    Vector("r and s swapped", UX, UY, SAMPLE, SAMPLE_S, SAMPLE_R, False),
    Vector("r is 0", UX, UY, SAMPLE, ZERO, SAMPLE_S, False),
    Vector("s is 0", UX, UY, SAMPLE, SAMPLE_R, ZERO, False),
    Vector("both are 0", UX, UY, SAMPLE, ZERO, ZERO, False),
    Vector("both are 0, hash of zero", UX, UY, ZERO, ZERO, ZERO, False),
    Vector("r is n", UX, UY, SAMPLE, N, SAMPLE_S, False),
    Vector("s is n", UX, UY, SAMPLE, SAMPLE_R, N, False),
    Vector("both are n", UX, UY, SAMPLE, N, N, False),
    Vector("r is p", UX, UY, SAMPLE, P, SAMPLE_S, False),
    Vector("r is 1, s is 1", UX, UY, SAMPLE, ONE, ONE, False),
    Vector("r is n - 1, s is n - 1", UX, UY, SAMPLE, word(int(N, 16) - 1), word(int(N, 16) - 1), False),
    Vector(
        "r + n, not canonical",
        "03bcbf0512bfa36558dc3c26890c5018a3b7620e2be9815ac5cf76d0bf085727",
        "f7037910feda2b739626888d4a54e12ef128156d7b4a5e2465d54788e831e8ed",
        SAMPLE, word(3 + int(N, 16)), word(5), False,
    ),
    Vector(
        "s + n, not canonical",
        "03bcbf0512bfa36558dc3c26890c5018a3b7620e2be9815ac5cf76d0bf085727",
        "f7037910feda2b739626888d4a54e12ef128156d7b4a5e2465d54788e831e8ed",
        SAMPLE, word(3), word(5 + int(N, 16)), False,
    ),
    Vector("a key with a small x", SMALL_X, SMALL_Y, SMALL_DIGEST, SMALL_R, SMALL_S, True),
    Vector("the same key, x + p", word(int(SMALL_X, 16) + int(P, 16)), SMALL_Y, SMALL_DIGEST, SMALL_R, SMALL_S, False),
    Vector(
        "the sum is infinity",
        UX, UY, SAMPLE, "28815b9a52dcc43d91fe0e07a91bb000f5f475306723ba5e6392aee8be90ee9c", ONE, False,
    ),
    Vector("not on the curve", UX, word(int(UY, 16) + 1), SAMPLE, SAMPLE_R, SAMPLE_S, False),
    Vector(
        "not on the curve, but right on another one",
        word(5), word(7), ZERO,
        "2a0cd5b267e5bab9d4f46f0936ba92d3d0c0b2ee1d4a8da384eec61f42f32aae",
        "dbd99a47f44cbf98fcb0574f7a5d1efc61210942cab74241ffd6f5e2783f368d",
        False,
    ),
    Vector("the other y", UX, word(int(P, 16) - int(UY, 16)), SAMPLE, SAMPLE_R, SAMPLE_S, False),
    Vector("0, 0 as infinity", ZERO, ZERO, SAMPLE, SAMPLE_R, SAMPLE_S, False),
    Vector("x is p", P, UY, SAMPLE, SAMPLE_R, SAMPLE_S, False),
    Vector("r one bit off", UX, UY, SAMPLE, SAMPLE_R[:-1] + "7", SAMPLE_S, False),
    Vector("s one bit off", UX, UY, SAMPLE, SAMPLE_R, SAMPLE_S[:-1] + "9", False),
)  # fmt: skip


def ask(module, vector: Vector) -> bool:
    return module.verify(
        bytes.fromhex(vector.x + vector.y), bytes.fromhex(vector.digest), bytes.fromhex(vector.r + vector.s)
    )


def openssl(vector: Vector) -> bool:
    """What another implementation says."""
    try:
        key = ec.EllipticCurvePublicNumbers(int(vector.x, 16), int(vector.y, 16), ec.SECP256R1()).public_key()
        signature = encode_dss_signature(int(vector.r, 16), int(vector.s, 16))
        key.verify(signature, bytes.fromhex(vector.digest), ec.ECDSA(Prehashed(hashes.SHA256())))
    except (InvalidSignature, ValueError):
        return False
    return True


class TestVerification:
    """FIPS 186-5 6.4.2 "ECDSA Signature Verification Algorithm"."""

    @pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector.name)
    def test_it_judges_as_it_should_and_as_openssl_does(self, vector):
        module = load(sources("firmware.p256"))

        assert ask(module, vector) is vector.good
        assert openssl(vector) is vector.good or vector.name == "the same key, x + p"  # which it reduces

    @pytest.mark.parametrize(
        "lengths", [(63, 32, 64), (65, 32, 64), (64, 31, 64), (64, 32, 63), (64, 32, 65), (0, 0, 0)]
    )
    def test_other_lengths_are_no_signatures(self, lengths):
        whole = (bytes.fromhex(UX + UY) + b"\0", bytes.fromhex(SAMPLE), bytes.fromhex(SAMPLE_R + SAMPLE_S) + b"\0")

        assert verify(*(data[:length] for data, length in zip(whole, lengths, strict=True))) is False

    @settings(max_examples=15, deadline=None)
    @given(st.integers(1, int(N, 16) - 1), st.binary(max_size=50), st.integers(0, 511))
    def test_it_agrees_with_openssl_about_signatures_and_their_bits(self, secret, message, bit):
        private = ec.derive_private_key(secret, ec.SECP256R1())
        public = private.public_key().public_numbers()
        r, s = decode_dss_signature(private.sign(message, ec.ECDSA(hashes.SHA256())))
        key = bytes.fromhex(word(public.x) + word(public.y))
        digest = hashlib.sha256(message).digest()
        signature = int.from_bytes(bytes.fromhex(word(r) + word(s)), "big")

        assert verify(key, digest, signature.to_bytes(64, "big"))
        assert not verify(key, digest, (signature ^ 1 << bit).to_bytes(64, "big"))


def test_every_vector_holds_on_micropython_in_64_kb():
    rows = [(bytes.fromhex(v.x + v.y), bytes.fromhex(v.digest), bytes.fromhex(v.r + v.s)) for v in VECTORS]
    program = f"import sys\nsys.path.insert(0, {str(ROOT)!r})\nfrom firmware.p256 import verify\n"
    program += "".join(f"print(verify{row!r})\n" for row in rows)
    micropython = Path(sys.executable).with_name("micropython")

    done = subprocess.run(
        [micropython, "-X", "heapsize=64wK", "-c", program], capture_output=True, text=True, timeout=60
    )

    assert done.stderr == ""
    assert done.stdout.split() == [str(vector.good) for vector in VECTORS]


MUTANTS = (
    Mutant("r without limit", "if not 0 < r < _N", "if not 0 < r"),
    Mutant("s without limit", "not 0 < s < _N", "not 0 < s"),
    Mutant("any point is a key", "or (y * y - (x * x - 3) * x - _B) % _P", ""),
    Mutant("x of p let in", "if x >= _P or y >= _P", "if y >= _P"),
    Mutant("x above n forgotten", "(r * zz - point[0]) % _P == 0 or", "(r * zz - point[0]) % _P == 0 and"),
    Mutant("the hash forgotten", 'int.from_bytes(digest, "big") * w % _N', "w % _N"),
    Mutant("half the signature", "(r * zz - point[0]) % _P == 0 or", "(r * zz - point[0]) % (1 << 8) == 0 or"),
    Mutant("equal points added", "return (1, 1, 0) if r else _double(point)", "return (1, 1, 0)"),
    Mutant("opposite points doubled", "return (1, 1, 0) if r else _double(point)", "return _double(point)"),
    Mutant("both points always there", "elif both is not None:", "elif True:"),
    Mutant("one bit of two forgotten", "            if not b & mask:\n", "            if True:\n"),
    Mutant("255 bits", "mask = 1 << 255", "mask = 1 << 254"),
    Mutant("a = 0", "m = 3 * (x - zz) * (x + zz) % _P", "m = 3 * x * x % _P"),
)


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_every_mutant_dies(mutant):
    module = load(broken(sources("firmware.p256"), mutant))
    wrong = []

    for vector in VECTORS:
        try:
            if ask(module, vector) is not vector.good:
                wrong.append(vector.name)
        except (TypeError, ZeroDivisionError, AttributeError):
            wrong.append(vector.name)

    assert wrong
