"""Compound files (the container of old office documents) with one stream."""


def compound(stream: str, data: bytes) -> bytes:
    """Return a file whose stream begins with `data`, at most 4,096 bytes, and is padded with zeros to that size."""
    free, end, fat = 0xFFFFFFFF, 0xFFFFFFFE, 0xFFFFFFFD

    def numbers(*values: int) -> bytes:
        return b"".join(value.to_bytes(4, "little") for value in values)

    def entry(name: str, kind: int, child: int, start: int, size: int) -> bytes:
        text = name.encode("utf-16-le") + b"\0\0"
        head = text.ljust(64, b"\0") + len(text).to_bytes(2, "little") + bytes([kind, 1])
        return (head + numbers(free, free, child)).ljust(116, b"\0") + numbers(start, size, 0)

    header = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(16) + bytes([0x3E, 0, 3, 0, 0xFE, 0xFF, 9, 0, 6, 0]) + bytes(6)
    header += numbers(0, 1, 1, 0, 0x1000, end, 0, end, 0, 0).ljust(40, b"\0") + numbers(*[free] * 108)
    content = data.ljust(4096, b"\0")
    table = numbers(fat, end, *range(3, 10), end).ljust(512, b"\xff")
    directory = entry("Root Entry", 5, 1, end, 0) + entry(stream, 2, free, 2, 4096)
    return header[:512].ljust(512, b"\xff") + table + directory.ljust(512, b"\0") + content
