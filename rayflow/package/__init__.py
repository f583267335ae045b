"""The code package of a run: which files the flow consists of, as one archive under their digest.

What goes in: below the flow file's directory the Python files, and others whose suffixes are named; modules from elsewhere that are
named. What does not: hidden files and directories, what `.rayflowignore` names, installations and caches, roots of runs, and secrets,
known by their names and by what they hold. What was to go in and does not is told: nothing is left out in silence, and a package that
is too large is refused with the names of its largest files. `secrets` and `ignoring` decide about one file, `modules` finds what is named,
`gathering` reads it all, `archive` writes and reads the archive, `stored` keeps it with the flow.

The archive is a zip whose members are stored, not compressed, in the order of their names, with fixed times and modes. So its bytes,
and its digest, are the same on every machine that has the same files: what compressors write differs between their versions (zlib and
zlib-ng, which one Python or another is built with), and re-attach and resume compare digests. It costs room: rayflow's own 285 files
are 1.6 MB instead of 0.45. A digest of the contents beside a compressed archive was rejected: two names for one thing, of which `verify`
could check but one without knowing how packages are made. 3,000 files are packed in 0.17 s, and looked at again by each worker, by
their sizes and times, in 0.02.

Links are followed within the directory that they lie in; one that leads out of it is told, and stays behind.

Reading an archive trusts nothing: see `archive`.
"""
