"""The Cycles protocol: reserve, commit, release, extend and events under `/v1`."""
