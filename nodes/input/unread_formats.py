"""The kinds of files that are named and not read: what each is called, its suffixes, and how its files begin.

A file with such a suffix that holds text is read as text: `.key`, `.pub` and `.ts` mean several things.
"""

from typing import TypeAlias

Magic: TypeAlias = bytes | tuple[int, bytes]
"""The beginning of a file, or the bytes at an offset."""

_ISO_MEDIA = ("avif", "heic", "heix", "hevc", "mif1", "msf1")

UNREAD: tuple[tuple[str, str, tuple[Magic, ...]], ...] = (
    # Images.
    ("a PNG image", ".png .apng", (b"\x89PNG\r\n\x1a\n",)),
    ("a JPEG image", ".jpg .jpeg .jpe .jfif", (b"\xff\xd8\xff",)),
    ("a GIF image", ".gif", (b"GIF87a", b"GIF89a")),
    ("a WebP image", ".webp", ((8, b"WEBPVP8"),)),
    ("a camera's raw image", ".cr2 .cr3 .nef .arw .dng .orf .rw2 .raf", (b"FUJIFILMCCD-RAW", (4, b"ftypcrx "))),
    ("a TIFF image", ".tif .tiff", (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")),
    ("a HEIC image", ".heic .heif .avif", tuple((4, b"ftyp" + brand.encode()) for brand in _ISO_MEDIA)),
    ("a BMP image", ".bmp .dib", (b"BM",)),
    ("an icon", ".ico .cur .icns", (b"\0\0\1\0", b"\0\0\2\0", b"icns")),
    ("a JPEG 2000 or JPEG XL image", ".jp2 .j2k .jxl", (b"\0\0\0\x0cjP  ", b"\0\0\0\x0cJXL ")),
    ("a Photoshop image", ".psd .psb", (b"8BPS",)),
    ("a GIMP image", ".xcf", (b"gimp xcf",)),
    ("a Windows metafile", ".emf .wmf", (b"\xd7\xcd\xc6\x9a", (40, b" EMF"))),
    ("a drawing (Illustrator, EPS)", ".ai .eps", (b"\xc5\xd0\xd3\xc6",)),
    ("a DICOM image", ".dcm .dicom", ((128, b"DICM"),)),
    ("a scanned book (DjVu)", ".djvu .djv", (b"AT&TFORM",)),
    # Sound and film.
    ("a WAV recording", ".wav", ((8, b"WAVEfmt "),)),
    ("an MP3 recording", ".mp3", (b"ID3\2", b"ID3\3", b"ID3\4", b"\xff\xfb\x90", b"\xff\xfb\xb0", b"\xff\xf3")),
    ("a FLAC recording", ".flac", (b"fLaC",)),
    ("an Ogg recording", ".ogg .oga .ogv .opus", (b"OggS\0",)),
    (
        "a sound recording",
        ".m4a .m4b .aac .aif .aiff .wma .amr .mid .midi",
        ((4, b"ftypM4A "), b"#!AMR\n", b"MThd\0\0"),
    ),
    ("an AVI video", ".avi", ((8, b"AVI LIST"),)),
    ("a Matroska or WebM video", ".mkv .webm", (b"\x1aE\xdf\xa3",)),
    ("a Windows media file", ".wmv .asf", (b"0&\xb2u\x8ef\xcf\x11",)),
    ("a video", ".mp4 .m4v .mov .3gp .flv .mpg .mpeg .vob .mts .m2ts", ((4, b"ftyp"), b"FLV\1", b"\0\0\1\xba")),
    ("a QuickTime video", ".qt", ((4, b"moov"), (4, b"mdat\0"))),
    # Archives and disk images.
    ("a 7z archive", ".7z", (b"7z\xbc\xaf\x27\x1c",)),
    ("a RAR archive", ".rar", (b"Rar!\x1a\x07",)),
    ("a Zstandard archive", ".zst .zstd .tzst .tar.zst", (b"\x28\xb5\x2f\xfd",)),
    ("an LZ4 archive", ".lz4 .tar.lz4", (b"\x04\x22\x4d\x18",)),
    ("an archive (LZMA, lzip, compress)", ".lzma .lz .z .lzh .lha .arj", (b"LZIP\1", b"\x1f\x9d", (2, b"-lh5-"))),
    ("a cabinet archive", ".cab", (b"MSCF\0\0\0\0",)),
    ("a package (ar, deb, rpm)", ".deb .rpm .a .ar", (b"!<arch>\n", b"\xed\xab\xee\xdb")),
    ("a cpio archive", ".cpio", (b"070701", b"070707")),
    ("a disk image", ".iso .dmg .vhd .vhdx .vmdk .qcow2 .wim", ((32769, b"CD001"), b"KDMV", b"QFI\xfb", b"vhdxfile")),
    ("a Git pack", ".pack .idx", (b"PACK\0\0\0\2", b"\xfftOc")),
    # Databases and data.
    ("a SQLite database", ".sqlite .sqlite3 .db3", (b"SQLite format 3\0",)),
    ("a database", ".db .dbf .fdb .kdbx .realm .ldb", (b"\x03\xd9\xa2\x9a",)),
    ("an Access database", ".mdb .accdb", ((4, b"Standard Jet DB"), (4, b"Standard ACE DB"))),
    ("a DuckDB database", ".duckdb", ((8, b"DUCK"),)),
    ("a Parquet table", ".parquet", (b"PAR1",)),
    ("an Arrow or Feather table", ".arrow .feather", (b"ARROW1", b"FEA1")),
    ("an ORC table", ".orc", (b"ORC\n", b"ORC\x08")),
    ("an Avro file", ".avro", (b"Obj\1",)),
    ("a statistics file (SPSS, Stata, SAS, R)", ".sav .dta .sas7bdat .xpt .rdata .rds", (b"$FL2@(#)", b"RDX3\n")),
    ("an HDF5 file", ".h5 .hdf5 .he5 .mat", (b"\x89HDF\r\n\x1a\n", b"MATLAB 5.0 MAT-file")),
    ("a NumPy array", ".npy .npz", (b"\x93NUMPY",)),
    ("a pickle", ".pkl .pickle .joblib", (b"\x80\2}", b"\x80\3}", b"\x80\4\x95", b"\x80\5\x95")),
    ("a model's weights", ".pt .pth .ckpt .safetensors .gguf .onnx .tflite .pb", (b"GGUF", (4, b"TFL3"))),
    ("a shapefile", ".shp .shx", (b"\0\0\x27\x0a\0\0\0\0",)),
    ("a memory dump", ".dmp .core .mdmp", (b"MDMP\x93\xa7", b"PAGEDU")),
    # Programs.
    ("a program (ELF)", ".so .o .ko .elf", (b"\x7fELF",)),
    ("a Windows program", ".exe .dll .sys .ocx .scr", (b"MZ",)),
    ("a Windows shortcut", ".lnk", (b"L\0\0\0\1\x14\2\0",)),
    ("a Mac program", ".dylib", (b"\xcf\xfa\xed\xfe", b"\xce\xfa\xed\xfe", b"\xfe\xed\xfa\xcf", b"\xfe\xed\xfa\xce")),
    ("compiled Java", ".class", (b"\xca\xfe\xba\xbe",)),
    ("compiled Python", ".pyc .pyo", ((2, b"\r\n\0\0\0\0"), (2, b"\r\n\1\0\0\0"), (2, b"\r\n\3\0\0\0"))),
    ("compiled WebAssembly", ".wasm", (b"\0asm",)),
    ("an Android program", ".dex", (b"dex\n03",)),
    ("compiled code", ".lib .obj .pdb .beam", (b"Microsoft C/C++ MSF 7",)),
    ("a Flash film", ".swf", (b"CWS", b"FWS", b"ZWS")),
    # Fonts.
    ("a font", ".ttf .otf .ttc .woff .woff2 .eot .pfb", (b"\0\1\0\0\0", b"OTTO\0", b"ttcf\0", b"wOFF\0", b"wOF2\0")),
    # Documents of programs that are not read.
    ("an Outlook data file (PST)", ".pst .ost", (b"!BDN",)),
    ("an iWork document", ".pages .numbers .keynote .key", ()),
    ("a Visio drawing", ".vsd .vsdx .vsdm", ()),
    ("a Publisher document", ".pub", ()),
    ("a Project plan", ".mpp", ()),
    ("a OneNote section", ".one .onetoc2", (b"\xe4\x52\x5c\x7b\x8c\xd8\xa7\x4d",)),
    ("a Windows help file", ".chm .hlp", (b"ITSF\3\0\0\0", b"?_\3\0")),
    ("a Kindle book", ".mobi .azw .azw3 .prc .kfx", ((60, b"BOOKMOBI"), (60, b"TEXtREAd"))),
    ("a PostScript file", ".ps", (b"%!PS-Adobe",)),
    ("an InDesign document", ".indd", (b"\x06\x06\xed\xf5\xd8\x1d\x46\xe5",)),
    ("a CAD drawing", ".dwg .rvt .skp .step .stp", (b"AC10",)),
    ("a 3D model", ".blend .fbx .stl .glb .3ds .max", (b"BLENDER", b"Kaydara FBX Binary", b"glTF\2")),
    ("an encrypted file (PGP, GPG, age)", ".gpg .pgp", (b"age-encryption.org/v1",)),
    ("a key store", ".jks .p12 .pfx .keystore", (b"\xfe\xed\xfe\xed",)),
    ("a torrent", ".torrent", (b"d8:announce",)),
)
