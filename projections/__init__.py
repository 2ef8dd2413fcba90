"""The read side: every view holds what follows from the events, and nothing else.

One table does not: ``workers/presence`` holds which workers were seen just now, and is no history.

A folder is one view or one subject. In a view that follows the log, ``tables`` declares its tables,
``apply`` says how events change them, and ``reader`` answers questions. A view that changes in the
transaction of the events (queue, directory, kudos, and of webhooks what is due) is there since the
ledger decides by it; a small one is a single module. ``sql`` is the toolkit of all of them,
``following`` keeps them up with the log, ``registry`` lists them.
"""
