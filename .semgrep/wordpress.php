<?php
// What the rules of wordpress.yml find, and what they let pass.
// ruleid: what-is-printed-is-escaped
echo '<p>' . $title . '</p>';
// ruleid: what-is-printed-is-escaped
echo "<p>$title</p>";
// ok: what-is-printed-is-escaped
echo '<p>' . esc_html( $title ) . '</p>';
// ok: what-is-printed-is-escaped
echo '</form>';

// ruleid: what-is-asked-for-has-an-end
wp_remote_get( $url );
// ruleid: what-is-asked-for-has-an-end
wp_safe_remote_get( $url, array( 'timeout' => 5 ) );
// ok: what-is-asked-for-has-an-end
wp_safe_remote_get( $url, array( 'timeout' => 5, 'redirection' => 3, 'limit_response_size' => 9, 'headers' => $h ) );

// ruleid: no-objects-from-text
unserialize( $body );
// ok: no-objects-from-text
json_decode( $body, true );
