"""Real sentences out of the source archive of vaderSentiment 3.3.2 (MIT, 2.5 MB).

Snippets of film reviews, product reviews, tweets and editorials that people rated from -4 (very
negative) to 4 (Hutto and Gilbert 2014). ``GET`` downloads the archive without installing it; the
wheel of the same name holds no sentences.
"""

import gzip
import hashlib
import io
import tarfile
import zipfile
import zlib
from pathlib import Path

GET = "pip download --no-deps --no-binary vaderSentiment vaderSentiment==3.3.2"
ARCHIVE = "vaderSentiment-3.3.2.tar.gz"
SHA256 = "5d7c06e027fc8b99238edb0d53d970cf97066ef97654009890b83703849632f9"
WHERE_FROM = ("movieReviewSnippets", "amazonReviewSnippets", "tweets", "nytEditorialSnippets")

_INNER = "vaderSentiment-3.3.2/additional_resources/hutto_ICWSM_2014.tar.gz"
_UNREADABLE = (tarfile.TarError, zlib.error, EOFError, OSError)


class SentencesError(RuntimeError):
    """The sentences cannot be read."""


class MissingArchiveError(SentencesError):
    """The archive is not there."""


class DamagedArchiveError(SentencesError):
    """The archive is cut off, or its bytes changed."""


class WrongArchiveError(SentencesError):
    """The file is another archive."""


def read_sentences(archive: Path) -> dict[str, list[tuple[float, str]]]:
    """Return all ``(mean rating, sentence)`` by where they are from, each sentence once.

    Args:
        archive: The source archive; the only one whose SHA-256 is ``SHA256``.

    Raises:
        MissingArchiveError: If there is no such file.
        DamagedArchiveError: If it cannot be unpacked.
        WrongArchiveError: If it can, but is not the expected one.
    """
    if not archive.is_file():
        raise MissingArchiveError(f"There is no file {archive}. Get it with: {GET}")
    packed = archive.read_bytes()
    if hashlib.sha256(packed).hexdigest() != SHA256:
        raise _what_is_wrong(archive, packed)
    inner = io.BytesIO(_member(packed, _INNER))
    return {
        name: _parsed(_member(inner.getvalue(), f"hutto_ICWSM_2014/{name}_GroundTruth.txt"))
        for name in WHERE_FROM
    }


def _member(packed: bytes, name: str) -> bytes:
    with tarfile.open(fileobj=io.BytesIO(packed)) as opened:
        member = opened.extractfile(name)
        assert member is not None  # the archive's hash is known
        return member.read()


def _parsed(table: bytes) -> list[tuple[float, str]]:
    """Return the rows of a table ``id <tab> rating <tab> sentence``."""
    rows = {}
    for line in table.decode().splitlines():
        _, rating, sentence = line.split("\t")
        rows.setdefault(sentence, float(rating))
    return [(rating, sentence) for sentence, rating in rows.items()]


def _what_is_wrong(archive: Path, packed: bytes) -> SentencesError:
    """Return the error for bytes whose hash is not the archive's."""
    again = f"Delete it and get it again with: {GET}"
    if zipfile.is_zipfile(io.BytesIO(packed)):
        return WrongArchiveError(f"{archive} is a zip, perhaps the wheel, without data. {again}")
    try:
        with tarfile.open(fileobj=io.BytesIO(gzip.decompress(packed)), mode="r:") as opened:
            members = opened.getnames()
    except _UNREADABLE as error:
        return DamagedArchiveError(
            f"{archive} ({len(packed)} bytes) cannot be unpacked ({error}). {again}"
        )
    return WrongArchiveError(
        f"{archive} is not {ARCHIVE} with SHA-256 {SHA256}: it begins with {members[:1]}. {again}"
    )
