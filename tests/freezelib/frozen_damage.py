"""Ways in which a chunk file can be damaged; each takes the file and another chunk's."""


def cut_short(first, _):
    first.write_bytes(first.read_bytes()[:-1])


def emptied(first, _):
    first.write_bytes(b"")


def flipped(first, _):
    first.write_bytes(bytes([first.read_bytes()[0] ^ 1]) + first.read_bytes()[1:])


def missing(first, _):
    first.unlink()


def overwritten_by_another(first, second):
    first.write_bytes(second.read_bytes())
