#!/usr/bin/env python3
"""Draws refused.png: a picture with a C2PA training and data mining assertion, signed with a throw-away
key. Run it in this directory. Needs c2pa-python 0.38.1, cryptography, pillow."""
import json, os, datetime
from cryptography import x509
from cryptography.x509.oid import NameOID, ExtendedKeyUsageOID
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
import c2pa
from PIL import Image
def cert(name, key, issuer, issuer_key, ca):
    n=lambda s: x509.Name([x509.NameAttribute(NameOID.COUNTRY_NAME,"XX"),x509.NameAttribute(NameOID.ORGANIZATION_NAME,"Accord tests"),x509.NameAttribute(NameOID.COMMON_NAME,s)])
    b=x509.CertificateBuilder().subject_name(n(name)).issuer_name(n(issuer)).public_key(key.public_key()).serial_number(x509.random_serial_number()).not_valid_before(datetime.datetime(2026,1,1)).not_valid_after(datetime.datetime(2046,1,1))
    b=b.add_extension(x509.BasicConstraints(ca=ca,path_length=None),True)
    b=b.add_extension(x509.KeyUsage(not ca,False,False,False,False,ca,ca,False,False),True)
    if not ca: b=b.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]),False)
    b=b.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()),False)
    b=b.add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()),False)
    return b.sign(issuer_key,hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
root,leaf=ec.generate_private_key(ec.SECP256R1()),ec.generate_private_key(ec.SECP256R1())
chain=cert("leaf",leaf,"root",root,False)+cert("root",root,"root",root,True)
pem=leaf.private_bytes(serialization.Encoding.PEM,serialization.PrivateFormat.PKCS8,serialization.NoEncryption())
manifest={"claim_generator_info":[{"name":"accord-vectors","version":"1"}],"format":"image/png","title":"refused.png","assertions":[{"label":"c2pa.actions.v2","data":{"actions":[{"action":"c2pa.created","digitalSourceType":"http://cv.iptc.org/newscodes/digitalsourcetype/digitalCreation"}]}},{"label":"c2pa.training-mining","data":{"entries":{"c2pa.ai_generative_training":{"use":"notAllowed"},"c2pa.ai_inference":{"use":"notAllowed"},"c2pa.ai_training":{"use":"notAllowed"},"c2pa.data_mining":{"use":"notAllowed"}}}}]}
Image.open("../pdq/landscape-101.jpg").convert("RGB").resize((64,64)).save("plain.png")
info=c2pa.C2paSignerInfo(alg=b"es256",sign_cert=chain,private_key=pem,ta_url=None)
signer=c2pa.Signer.from_info(info)
b=c2pa.Builder(json.dumps(manifest))
with open("plain.png","rb") as src, open("refused.png","w+b") as dst:
    b.sign(signer,"image/png",src,dst)

os.remove("plain.png")
