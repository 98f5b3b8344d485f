"""A folder to an index: what has not changed is carried over, what is gone is forgotten.

The index mirrors exactly the paths of the last run. A file is known by the SHA-256 of its
bytes and a vector by the text it was made of, so a renamed or copied file is not embedded
again. A file that cannot be read is reported and the rest is indexed. Knows no question.

    listing     the files below the roots
    comparing   which of them are new, changed, unchanged or gone
    embedding   what needs a vector: in batches of about equal length
    run         all of it, from the folder to the new generation
"""

from rag.ingest.listing import Listing, SourceFile, files_of
from rag.ingest.run import Report, index_documents

__all__ = ["Listing", "Report", "SourceFile", "files_of", "index_documents"]
