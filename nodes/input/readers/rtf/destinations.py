"""The destinations of RTF 1.9 by what becomes of their content."""

NOTES = frozenset(["footnote", "annotation"])
"""Their text follows the paragraph in which they stand."""

RUNNING = {name: kind for kind in ("header", "footer") for name in (kind, f"{kind}l", f"{kind}r", f"{kind}f")}
"""Headers and footers, which are shown once."""

INFORMATION = {
    "title": "title",
    "subject": "subject",
    "author": "author",
    "manager": "manager",
    "company": "company",
    "operator": "last_author",
    "category": "category",
    "keywords": "keywords",
    "comment": "comments",
    "doccomm": "comments",
    "hlinkbase": "link_base",
}
"""Facts about the document, with their names in `meta`."""

COUNTED = {
    "pict": ("picture", "picture"),
    "objdata": ("embedded object", "skip"),
    "xe": ("index term", "skip"),
    "tc": ("term of a table of contents", "skip"),
    "docvar": ("document variable", "skip"),
}
"""Groups that are not shown but counted, and the role of its group."""

DESCENDED = frozenset(["field", "shptxt", "dptxbxtext", "upr", "ud"])
"""Groups that need more than a role."""

_SKIPPED = """
aftncn aftnsep aftnsepc annotprot atnicn atnparent atnref atntime atrfend atrfstart background bkmkcolf bkmkcoll
bkmkend bkmkstart blipuid buptim bxe colorschememapping colortbl creatim datafield datastore defchp defpap defshp
ebcend ebcstart falt fchars ffentrymcr ffexitmcr ffformat ffname file filetbl fname fontemb fontfile ftncn ftnsep
ftnsepc generator gridtbl hlfr hlloc hlsrc hsv htmltag keycode latentstyles lchars levelnumbers leveltext lfolevel
linkval list listlevel listname listoverride listoverridetable listpicture liststylename listtable lsdlockedexcept
macpict mailmerge margPr margSz mhtmltag mmathPict mmathPr moMathParaPr nesttableprops nextfile nonesttables
nonshppict objalias objclass objname objsect objtime oldcprops oldpprops oldsprops oldtprops oleclsid panose
password passwordhash pgp pgptbl picscalex pn pnseclvl pntxta pntxtb printim protend protstart protusertbl pxe
revtim rsidtbl rxe shprslt stylename svb template themedata txe wgrffmtfilter windowcaption writereservation
writereservhash xform xmlattrname xmlattrvalue xmlclose xmlname xmlnstbl xmlopen
maccPr mbarPr mbaseJc mbegChr mborderBoxPr mboxPr mchr mcount mctrlPr mdPr mdegHide mdiff mendChr meqArrPr mfPr
mfuncPr mgroupChrPr mgrow mhideBot mhideLeft mhideRight mhideTop mlimloc mlimlowPr mlimuppPr mmPr mmathFont
mmaxdist mmc mmcJc mmcPr mmcs mmodso mnaryPr mnoBreak mobjDist mopEmu mphantPr mplcHide mpos mrPr mrSp mrSpRule
mradPr msPrePr msSubPr msSubSupPr msSupPr msepChr mshow mshp mstrikeBLTR mstrikeH mstrikeTLBR mstrikeV msubHide
msupHide mtransp mtype mvertJc mzeroAsc mzeroDesc mzeroWid
"""
_SHOWN = """
fldrslt shp shpinst shpgrp sp shppict picprop listtext pntext object result do info userprops formfield
mmath moMath moMathPara mr macc mbar mborderBox mbox md mdeg mden me meqArr mf mfName mfunc mgroupChr mlim mlimlow
mlimupp mm mmr mnary mnum mphant mrad msPre msSub msSubSup msSup msub msup
"""

SETTINGS = {
    **dict.fromkeys(_SKIPPED.split(), "skip"),
    **dict.fromkeys(_SHOWN.split(), ""),
    "fonttbl": "fonts",
    "stylesheet": "style",
    "revtbl": "authors",
    "fldinst": "instruction",
    "atnauthor": "atnauthor",
    "atnid": "atnid",
    "atndate": "atndate",
    "sn": "shape name",
    "sv": "shape value",
    "propname": "property name",
    "staticval": "property value",
    **dict.fromkeys(["ffdeftext", "ffl", "ffhelptext", "ffstattext"], "form text"),
}
"""The role of groups with settings: `skip`, an empty text for that of the outer group, or a role that is gathered."""
