-----BEGIN PGP SIGNED MESSAGE-----
Hash: SHA256

{"critical":{"identity":{"docker-reference":"example.com/ns/app:v1"},"image":{"docker-manifest-digest":"sha256:f20c43161d73848408ef247f0ec7111b19fe58ffebc0cbcaa0d2c8bda4967268"},"type":"atomic container signature"},"optional":{"creator":"atomic 5","timestamp":1717200000}}
-----BEGIN PGP SIGNATURE-----

iIgEARYIADAWIQStnwbIvkVB2qzJYmcPjFUdqFjkuAUCZlpkgBIcYWxpY2VAZXhh
bXBsZS5jb20ACgkQD4xVHahY5LjGHAEA6OC4Hd/Wxw+ojSDMOC0XxsReZwhbCSvx
8IC0f0FbekoA/2AUGvyrVq7ck0Xq7XS4ImsaqNrGyN2D2utlSKAmvkkO
=TvJZ
-----END PGP SIGNATURE-----
