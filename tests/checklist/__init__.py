"""What a user of Metaflow's API expects, feature by feature, and the tests that show each.

`writing` and `using` say it, docs/checklist.md is made of it: `python -m tests.checklist --write`.
"""
