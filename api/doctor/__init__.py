"""Examines an installation and its data directory, and mends what can be mended: `citewell doctor`.

`api.doctor.installation` loads without any other package, so that it can name those that are missing;
`api.doctor.examination` does the rest.
"""
