#include "record.h"

#include <endian.h>
#include <limits.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <stdlib.h>
#include <string.h>

#define NONCE 12u
#define INDEX_AT 4u
#define COUNTER_AT 8u
#define WORD_BITS 64u
#define WORDS (REPLAY_BITS / WORD_BITS)

struct record_key {
  EVP_CIPHER_CTX *context; /* the key schedule; a record changes the nonce alone */
  OSSL_PARAM tag[2];
  uint8_t nonce[NONCE];
};

bool record_parse(const uint8_t *record, size_t length, struct record_header *header) {
  if (length < RECORD_OVERHEAD || record[0] != RECORD_TYPE || record[1] > RECORD_REPLY) return false;
  if ((record[3] & ~(record[1] == RECORD_PACKET ? RECORD_PARTIAL : 0u)) != 0) return false;
  header->kind = record[1];
  header->lane = record[2];
  header->flags = record[3];
  memcpy(&header->index, record + INDEX_AT, sizeof header->index);
  memcpy(&header->counter, record + COUNTER_AT, sizeof header->counter);
  header->index = be32toh(header->index);
  header->counter = be64toh(header->counter);
  return true;
}

struct record_key *record_key_new(enum record_cipher cipher, const uint8_t key[RECORD_KEY], bool seals) {
  const char *name = cipher == RECORD_AES_256_GCM ? "AES-256-GCM" : "ChaCha20-Poly1305";
  struct record_key *made = calloc(1, sizeof *made);
  EVP_CIPHER *fetched = EVP_CIPHER_fetch(NULL, name, NULL);
  if (made != NULL) made->context = EVP_CIPHER_CTX_new();
  bool ready = made != NULL && made->context != NULL && fetched != NULL &&
               EVP_CipherInit_ex2(made->context, fetched, key, made->nonce, seals, NULL) == 1;
  EVP_CIPHER_free(fetched);
  if (!ready) {
    record_key_free(made);
    return NULL;
  }
  made->tag[0] = OSSL_PARAM_construct_octet_string(OSSL_CIPHER_PARAM_AEAD_TAG, NULL, RECORD_TAG);
  made->tag[1] = OSSL_PARAM_construct_end();
  return made;
}

/* OpenSSL clears the schedule, and its copies of the key, before it frees them. */
void record_key_free(struct record_key *key) {
  if (key == NULL) return;
  EVP_CIPHER_CTX_free(key->context);
  free(key);
}

static void set_nonce(struct record_key *key, uint8_t lane, uint64_t counter) {
  counter = htobe64(counter);
  key->nonce[NONCE - sizeof counter - 1] = lane;
  memcpy(key->nonce + NONCE - sizeof counter, &counter, sizeof counter);
}

bool record_seal(struct record_key *key, uint8_t *record, const uint8_t *text, size_t length,
                 struct record_header header) {
  uint8_t *sealed = record + RECORD_HEADER;
  int done;
  if (length > INT_MAX) return false;
  record[0] = RECORD_TYPE;
  record[1] = header.kind;
  record[2] = header.lane;
  record[3] = header.flags;
  uint32_t index = htobe32(header.index);
  memcpy(record + INDEX_AT, &index, sizeof index);
  set_nonce(key, header.lane, header.counter);
  memcpy(record + COUNTER_AT, key->nonce + NONCE - sizeof header.counter, sizeof header.counter);
  key->tag[0].data = sealed + length;
  return EVP_EncryptInit_ex2(key->context, NULL, NULL, key->nonce, NULL) == 1 &&
         EVP_EncryptUpdate(key->context, NULL, &done, record, RECORD_HEADER) == 1 &&
         (length == 0 || EVP_EncryptUpdate(key->context, sealed, &done, text, (int)length) == 1) &&
         EVP_EncryptFinal_ex(key->context, sealed + length, &done) == 1 &&
         EVP_CIPHER_CTX_get_params(key->context, key->tag) == 1;
}

int64_t record_open(struct record_key *key, uint8_t *record, size_t length, const struct record_header *header) {
  uint8_t *text = record + RECORD_HEADER;
  size_t inside = length - RECORD_OVERHEAD;
  int done;
  if (inside > INT_MAX) return -1;
  set_nonce(key, header->lane, header->counter);
  key->tag[0].data = text + inside;
  bool authentic = EVP_DecryptInit_ex2(key->context, NULL, NULL, key->nonce, key->tag) == 1 &&
                   EVP_DecryptUpdate(key->context, NULL, &done, record, RECORD_HEADER) == 1 &&
                   (inside == 0 || EVP_DecryptUpdate(key->context, text, &done, text, (int)inside) == 1) &&
                   EVP_DecryptFinal_ex(key->context, text + inside, &done) == 1;
  return authentic ? (int64_t)inside : -1;
}

/* The ring of words holds the word of the greatest counter accepted and those before it; next = 0 is a new window, or
 * one whose last counter was accepted, and then that has its bit. */
static bool is_ahead(const struct replay *replay, uint64_t counter) {
  bool exhausted = replay->next == 0 && replay->bits[WORDS - 1] >> (WORD_BITS - 1) != 0;
  return counter >= replay->next && !exhausted;
}

bool replay_is_new(const struct replay *replay, uint64_t counter) {
  uint64_t word = counter / WORD_BITS;
  if (is_ahead(replay, counter)) return true;
  if ((replay->next - 1) / WORD_BITS - word >= WORDS) return false;
  return (replay->bits[word % WORDS] >> counter % WORD_BITS & 1) == 0;
}

bool replay_accept(struct replay *replay, uint64_t counter) {
  uint64_t word = counter / WORD_BITS;
  if (!replay_is_new(replay, counter)) return false;
  if (is_ahead(replay, counter)) {
    uint64_t unused = replay->next / WORD_BITS + (replay->next % WORD_BITS != 0);
    if (word >= WORDS && unused < word - WORDS + 1) unused = word - WORDS + 1;
    for (; unused <= word; unused++) replay->bits[unused % WORDS] = 0;
    replay->next = counter + 1;
  }
  replay->bits[word % WORDS] |= UINT64_C(1) << counter % WORD_BITS;
  return true;
}
