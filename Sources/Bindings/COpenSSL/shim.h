// OpenSSL 3, with what Swift cannot see of it: function-like macros, variadic functions and the type-safe stacks.
// Every function here is one macro, or one loop over a stack, and nothing else: decisions are made in Swift.
// Names: `florin_` and then OpenSSL's own.
#pragma once
#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

// ---- contexts and connections -------------------------------------------------------------------------------------

static inline int florin_SSL_CTX_set_min_proto_version(SSL_CTX *context, int version) {
  return (int)SSL_CTX_set_min_proto_version(context, version);
}

static inline int florin_SSL_CTX_set_max_proto_version(SSL_CTX *context, int version) {
  return (int)SSL_CTX_set_max_proto_version(context, version);
}

/// Whole writes from buffers that may move; idle buffers given back; no chain but the one that was set.
static inline void florin_SSL_CTX_set_modes(SSL_CTX *context) {
  SSL_CTX_set_mode(context, SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS | SSL_MODE_NO_AUTO_CHAIN);
}

static inline void florin_SSL_CTX_set_read_ahead(SSL_CTX *context, int on) { SSL_CTX_set_read_ahead(context, on); }

static inline void florin_SSL_CTX_disable_session_cache(SSL_CTX *context) {
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
}

/// No tickets, no renegotiation. (Compression is not in TLS 1.3.)
static inline void florin_SSL_CTX_set_hardening(SSL_CTX *context) {
  SSL_CTX_set_options(context, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
}

static inline int florin_SSL_CTX_set1_groups_list(SSL_CTX *context, const char *list) {
  return (int)SSL_CTX_set1_groups_list(context, list);
}

static inline int florin_SSL_CTX_set1_sigalgs_list(SSL_CTX *context, const char *list) {
  return (int)SSL_CTX_set1_sigalgs_list(context, list);
}

static inline int florin_SSL_CTX_add1_chain_cert(SSL_CTX *context, X509 *certificate) {
  return (int)SSL_CTX_add1_chain_cert(context, certificate);
}

static inline void florin_SSL_CTX_set_max_cert_list(SSL_CTX *context, long bytes) { SSL_CTX_set_max_cert_list(context, bytes); }

static inline void florin_SSL_set_msg_callback_arg(SSL *ssl, void *argument) { SSL_set_msg_callback_arg(ssl, argument); }

static inline void florin_SSL_set_app_data(SSL *ssl, void *data) { SSL_set_ex_data(ssl, 0, data); }
static inline void *florin_SSL_get_app_data(const SSL *ssl) { return SSL_get_ex_data(ssl, 0); }

static inline void florin_BIO_set_retry_read(BIO *bio) { BIO_set_retry_read(bio); }
static inline void florin_BIO_clear_retry_flags(BIO *bio) { BIO_clear_retry_flags(bio); }

static inline size_t florin_BIO_get_mem_data(BIO *bio, const char **bytes) {
  char *start = 0;
  long count = BIO_get_mem_data(bio, &start);
  *bytes = start;
  return count < 0 ? 0 : (size_t)count;
}

// ---- errors -------------------------------------------------------------------------------------------------------

static inline int florin_ERR_GET_LIB(unsigned long code) { return ERR_GET_LIB(code); }
static inline int florin_ERR_GET_REASON(unsigned long code) { return ERR_GET_REASON(code); }

// ---- keys ---------------------------------------------------------------------------------------------------------

/// A new P-256 key, or null.
static inline EVP_PKEY *florin_EVP_generate_P256(void) { return EVP_EC_gen("P-256"); }

/// Is it an EC key on P-256 (named "prime256v1" by OpenSSL)?
static inline int florin_EVP_PKEY_is_P256(const EVP_PKEY *key) {
  char name[64];
  size_t length = 0;
  return EVP_PKEY_get_base_id(key) == EVP_PKEY_EC && EVP_PKEY_get_group_name(key, name, sizeof name, &length) == 1
         && OBJ_sn2nid(name) == NID_X9_62_prime256v1;
}

// ---- certificates -------------------------------------------------------------------------------------------------

static inline STACK_OF(X509) *florin_sk_X509_new(void) { return sk_X509_new_null(); }
/// Takes a reference of its own. 1 if it was added.
static inline int florin_sk_X509_push(STACK_OF(X509) *stack, X509 *certificate) {
  return X509_up_ref(certificate) == 1 && sk_X509_push(stack, certificate) > 0;
}
static inline void florin_sk_X509_free(STACK_OF(X509) *stack) { sk_X509_pop_free(stack, X509_free); }
static inline int florin_sk_X509_count(const STACK_OF(X509) *stack) { return stack ? sk_X509_num(stack) : 0; }
static inline X509 *florin_sk_X509_at(const STACK_OF(X509) *stack, int index) { return sk_X509_value(stack, index); }

static inline GENERAL_NAMES *florin_GENERAL_NAMES_new(void) { return sk_GENERAL_NAME_new_null(); }
static inline void florin_GENERAL_NAMES_free(GENERAL_NAMES *names) { GENERAL_NAMES_free(names); }
static inline int florin_GENERAL_NAMES_count(const GENERAL_NAMES *names) { return names ? sk_GENERAL_NAME_num(names) : 0; }

/// GEN_URI, GEN_DNS, … of the name at `index`.
static inline int florin_GENERAL_NAMES_type_at(const GENERAL_NAMES *names, int index) {
  return sk_GENERAL_NAME_value(names, index)->type;
}

/// The bytes of a URI or DNS name (IA5String, not ended by NUL). Null for every other kind of name.
static inline const unsigned char *florin_GENERAL_NAMES_text_at(const GENERAL_NAMES *names, int index, int *length) {
  const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, index);
  *length = 0;
  if (name->type != GEN_URI && name->type != GEN_DNS) return 0;
  *length = ASN1_STRING_length(name->d.ia5);
  return ASN1_STRING_get0_data(name->d.ia5);
}

/// Adds a URI or DNS name. 1 if it was added.
static inline int florin_GENERAL_NAMES_push_text(GENERAL_NAMES *names, int type, const char *text, int length) {
  GENERAL_NAME *name = GENERAL_NAME_new();
  ASN1_IA5STRING *value = ASN1_IA5STRING_new();
  if (name && value && ASN1_STRING_set(value, text, length) == 1) {
    GENERAL_NAME_set0_value(name, type, value);
    if (sk_GENERAL_NAME_push(names, name) > 0) return 1;
    value = 0;
  }
  ASN1_IA5STRING_free(value);
  GENERAL_NAME_free(name);
  return 0;
}

/// Adds an IPv4 or IPv6 address. 1 if it was one and was added.
static inline int florin_GENERAL_NAMES_push_address(GENERAL_NAMES *names, const char *text) {
  ASN1_OCTET_STRING *value = a2i_IPADDRESS(text);
  if (!value) return 0;
  GENERAL_NAME *name = GENERAL_NAME_new();
  if (name) {
    GENERAL_NAME_set0_value(name, GEN_IPADD, value);
    if (sk_GENERAL_NAME_push(names, name) > 0) return 1;
    GENERAL_NAME_free(name);
    return 0;
  }
  ASN1_OCTET_STRING_free(value);
  return 0;
}

/// Adds the extension `text` of kind `nid`, in OpenSSL's configuration syntax ("critical,CA:TRUE"). 1 if it was added.
static inline int florin_X509_add_extension(X509 *certificate, X509 *issuer, int nid, const char *text) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, certificate, 0, 0, 0);
  X509V3_set_ctx_nodb(&context);
  X509_EXTENSION *extension = X509V3_EXT_nconf_nid(0, &context, nid, text);
  if (!extension) return 0;
  int added = X509_add_ext(certificate, extension, -1);
  X509_EXTENSION_free(extension);
  return added;
}

/// Writes a name as RFC 2253 has it.
static inline void florin_X509_NAME_print(BIO *bio, const X509_NAME *name) { X509_NAME_print_ex(bio, name, 0, XN_FLAG_RFC2253); }

/// Seconds since 1970, or -1 if the time cannot be read.
static inline long long florin_ASN1_TIME_seconds(const ASN1_TIME *time) {
  int days = 0, seconds = 0;
  ASN1_TIME *epoch = ASN1_TIME_set(0, 0);
  int ok = epoch && ASN1_TIME_diff(&days, &seconds, epoch, time);
  ASN1_TIME_free(epoch);
  return ok ? (long long)days * 86400 + seconds : -1;
}
