"""A Salesforce org on this machine, to develop, test and demonstrate against.

It speaks the protocol, not the wishes of one client: unmodified clients log in, query, patch and
run bulk jobs over plain HTTP and over TLS. Each behaviour carries its grade where it is
implemented, so that a test result says how far it can be trusted:

* ``[recorded]`` seen in an exchange with a real org;
* ``[captured]`` real values which somebody published, without the whole exchange;
* ``[documented]`` Salesforce's documentation says so;
* ``[assumed]`` nobody confirmed it; it may differ in a real org.

What is not emulated answers 501 ``NOT_EMULATED`` and says so; it never pretends.
"""
