"""The read side: every view holds what follows from the events, and nothing else.

A folder is one view or one subject. In a view that follows the log, ``tables`` declares its tables,
``apply`` says how events change them, and ``reader`` answers questions. In a view that changes in
the transaction of the events (queue, directory, kudos), ``view`` does both, since the ledger
decides by it. ``sql`` is the toolkit of all of them, ``following`` keeps them up with the log,
``registry`` lists them.
"""
