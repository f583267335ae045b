"""Layer 3: Pythons with packages of their own. From what a step declares to a lock, from a lock to a Python on this machine.

    PythonEnvironment -> Lock     what was meant becomes what it is: every package with version and hashes   (locking, projects, conda)
    Lock -> directory             made once per machine, and used by every run that has the same lock        (building)

What a lock is (`lock`): a requirements file, which `pip install -r` takes too, with what is not pip's in comments. Its name is its digest.
It is resolved for all platforms (`uv pip compile --universal`), so that a laptop's lock makes the environment of a Linux cluster; conda's
part is of one platform. A run keeps its locks beside its code package, so that a resume has the same packages, years later too.

What an environment holds: the packages that were asked for, and what a worker imports - rayflow, as the launcher has it, its dependencies,
and Ray in the launcher's very version - resolved together, so that versions which exclude each other are found before anything runs. Of
the dependencies the launcher's own versions are preferred: those are in uv's cache, and values change hands between equal versions.

Decisions. Made by `uv` with hard links from its cache: 3 to 5 s once on two cores, 0.05 s when it is there. Under its final name, since a
venv cannot be moved; a lock on a file keeps two processes apart, and is inherited by the installer, so that one whose caller was killed is
waited for; a mark that is written last says that it is whole. What a declaration was locked to is kept on this machine (`locks/`), so that
a second run resolves nothing: ranges stay at what they were until that is removed.

Rejected. Ray's `runtime_env={"pip": ...}` and `{"uv": ...}`: no cache between clusters, 6 to 9 s each, nothing locked, not for child
processes, and a failure after 40 to 145 s. A layer over the launcher's site-packages (made in 0.3 s): what a step imports would then
depend on what happens to be installed there.
"""
