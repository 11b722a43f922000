/** A request for a WebSocket with these subprotocols, in the bytes of RFC 6455, section 4.1. */
export function upgradeRequest(protocols: string): string {
  const lines = [
    ...['GET / HTTP/1.1', 'Host: x', 'Connection: Upgrade', 'Upgrade: websocket'],
    ...['Sec-WebSocket-Version: 13', 'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=='],
    ...(protocols === '' ? [] : [`Sec-WebSocket-Protocol: ${protocols}`]),
  ];
  return `${lines.join('\r\n')}\r\n\r\n`;
}
